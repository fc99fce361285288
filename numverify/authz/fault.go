package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/simbind/simbind/numverify/network"
)

// A fault is an error of OAuth 2.0 (RFC 6749 sections 4.1.2.1 and 5.2, RFC 9101
// section 7, OpenID Connect Core 3.1.2.6).
type fault struct {
	code        string
	description string // for the developer of the client: no identities
	cause       error  // for our log only
}

func (f *fault) Error() string {
	if f.cause != nil {
		return fmt.Sprintf("%s: %s: %v", f.code, f.description, f.cause)
	}
	return f.code + ": " + f.description
}

func (f *fault) Unwrap() error { return f.cause }

func faultf(code, format string, args ...any) *fault {
	return &fault{code: code, description: fmt.Sprintf(format, args...)}
}

// The codes.
const (
	invalidRequest       = "invalid_request"
	invalidClient        = "invalid_client"
	invalidGrant         = "invalid_grant"
	unauthorizedClient   = "unauthorized_client"
	unsupportedGrant     = "unsupported_grant_type"
	unsupportedResponse  = "unsupported_response_type"
	invalidScope         = "invalid_scope"
	accessDenied         = "access_denied"
	consentRequired      = "consent_required"
	serverError          = "server_error"
	notAvailable         = "temporarily_unavailable"
	invalidRequestObject = "invalid_request_object"
	noRequestURI         = "request_uri_not_supported"
)

// asFault is any error as one of OAuth.
func asFault(err error) *fault {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, network.ErrUnknown):
		return &fault{accessDenied, "the network does not recognise the connection that this request came over", err}
	case errors.Is(err, network.ErrNotNow):
		return &fault{notAvailable, "the network cannot say at this moment", err}
	default:
		return &fault{serverError, "the request could not be completed", err}
	}
}

// fail answers a client's backend.
func (s *Server) fail(w http.ResponseWriter, f *fault) {
	status := http.StatusBadRequest
	switch f.code {
	case invalidClient:
		status = http.StatusUnauthorized
	case serverError:
		status = http.StatusInternalServerError
		s.log.Warn("request not completed", "err", f.cause)
	case notAvailable:
		status = http.StatusServiceUnavailable
	}
	s.json(w, status, map[string]string{"error": f.code, "error_description": f.description})
}

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("answer not written", "err", err)
	}
}
