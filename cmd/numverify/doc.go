// Command numverify is the CAMARA Number Verification frontend of a site: an
// HTTPS service that asks simbindd over its Unix socket. See docs/numverify.md.
package main
