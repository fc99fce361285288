// Package sampleapp is a small web app of somebody who uses number verification,
// to click through it: on the phone itself, and on a desktop with the phone as
// the way to the operator.
//
// On a desktop the subscriber's own connection is not the one to verify. The
// page shows a QR code with a link that is good once and for two minutes. The
// phone that opens it sees who asks, from which browser, and a short code that
// must be the one on the desktop's screen; only when the person goes on is the
// phone sent to the operator, over the mobile network. The answer comes back to
// this app, never to the operator's pages, and the desktop's page, bound by a
// cookie, is told by server-sent events.
//
// What this does not prevent is a person who is talked into scanning somebody
// else's code and into going on although the code on the page is another: see
// docs/numverify-desktop.md.
//
// The phone's pages are plain forms and need no JavaScript. Nothing is loaded
// from anywhere else.
package sampleapp
