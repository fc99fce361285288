// Package accounting learns from RADIUS accounting that others exchange (RFC
// 2866), where Simbind is neither the server nor a proxy.
//
// An Accounting-Request counts when its Accounting-Response is seen: then the
// accounting server took it. The two are paired by addresses, ports and
// Identifier. Where the clients' secrets are configured, both authenticators
// must be of them; without any, whoever can send on the observed link is
// believed. What a request says is decoded by package radius, so that a session
// seen here and one reported to the accounting edge are the same session where
// the client that brings it has the same name or group in both. Without clients
// the address that sent a request owns its node.
//
// A repetition of a request changes nothing: neither while it waits nor for
// some time after it was answered. Later it is another request.
package accounting
