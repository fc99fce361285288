// Package state keeps what the frontend must remember between two requests:
// authorization codes, access tokens, pushed requests, and the ids of client
// assertions that were seen. Each is good once, however many ask at the same
// time, in one process ([Memory]) or in several behind a balancer ([NATS]).
//
// A Store is asked by secrets (the code, the token) and never keeps one: its key
// is the secret's hash, and the value is sealed with a key that only the secret
// yields. Who reads the store learns neither tokens nor numbers.
package state
