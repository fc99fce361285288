// Package resource is the CAMARA Number Verification API itself: POST /verify and
// GET /device-phone-number, as its definition (v2.1 and main) has them. A token
// is good for one call, whatever comes of it.
package resource
