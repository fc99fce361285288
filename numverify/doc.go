// Package numverify is the CAMARA Number Verification frontend: an authorization
// server that recognises the subscriber by the connection that the device itself
// makes (authz), and the resource API behind it (resource). It asks simbindd over
// its Unix socket (network), believes listed proxies only (origin), and keeps
// what is good once where all its processes see it (state).
package numverify
