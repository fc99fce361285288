// Package udmtest is a UDM that answers the id-translation-result of Nudm_SDM
// (3GPP TS 29.503) over HTTP/2, and an NRF that gives access tokens for it. It
// is for tests and simulations; nothing of it belongs into the daemon.
package udmtest
