package resource

import "net/http"

// A fault is the body of every error (CAMARA Commonalities, ErrorInfo).
type fault struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

const invalidArgument = "INVALID_ARGUMENT"

// Constants in spirit: nobody writes them.
var (
	unauthenticated = &fault{http.StatusUnauthorized, "UNAUTHENTICATED",
		"The access token is missing, invalid, expired or was used: each is good for one call. Authenticate again."}
	notByNetwork = &fault{http.StatusForbidden, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK",
		"The mobile network does not vouch for this connection. Authenticate again over mobile data."}
	unavailable = &fault{http.StatusServiceUnavailable, "UNAVAILABLE", "The network cannot say at this moment. Try again with a new token."}
)

func (a *API) fail(w http.ResponseWriter, f *fault) {
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	a.json(w, f.Status, f)
}
