// Package authz is the authorization server of the CAMARA security profile, cut
// down to the one flow that proves something about a SIM: the authorization code
// flow in which the device's own connection authenticates it
// (network-based authentication).
//
//	/authorize  whose connection is this? → a code, good once, for 60 s
//	/par        the same request, pushed by the client's backend before
//	/token      code + private_key_jwt + PKCE → a token, good for one call
//	/jwks, /.well-known/openid-configuration
//
// Everything else is refused, with a word why: a grant that a backend begins by
// itself (CIBA, client_credentials, JWT bearer) would prove nothing about the
// connection. Clients authenticate with private_key_jwt only.
package authz
