package authz

import "net/http"

// discovery is the server's description (OpenID Connect Discovery 1.0, RFC
// 8414). It names only what is offered.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	algs := []string{}
	for _, alg := range algorithms {
		algs = append(algs, string(alg))
	}
	keys := map[string]bool{}
	signing := []string{}
	for _, k := range s.keys.public().Keys {
		if !keys[k.Algorithm] {
			keys[k.Algorithm] = true
			signing = append(signing, k.Algorithm)
		}
	}
	is := s.cfg.Issuer
	s.json(w, http.StatusOK, map[string]any{
		"issuer":                                           is,
		"authorization_endpoint":                           is + "/authorize",
		"token_endpoint":                                   is + "/token",
		"pushed_authorization_request_endpoint":            is + "/par",
		"jwks_uri":                                         is + "/jwks",
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query"},
		"grant_types_supported":                            []string{"authorization_code"},
		"subject_types_supported":                          []string{"pairwise"},
		"scopes_supported":                                 []string{"openid", ScopeVerify, ScopeShare},
		"claims_supported":                                 []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash"},
		"prompt_values_supported":                          []string{"none"},
		"id_token_signing_alg_values_supported":            signing,
		"code_challenge_methods_supported":                 []string{"S256"},
		"token_endpoint_auth_methods_supported":            []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": algs,
		"request_object_signing_alg_values_supported":      algs,
		"request_parameter_supported":                      true,
		"request_uri_parameter_supported":                  false,
		"authorization_response_iss_parameter_supported":   true,
	})
}
