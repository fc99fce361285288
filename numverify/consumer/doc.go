// Package consumer is the backend of an app that uses number verification: it
// sends the subscriber's own browser to the operator, exchanges the code that
// comes back, and asks about the number, once for each token.
//
// It shows how the CAMARA profile is used from outside, with the libraries that
// most Go programs use for OpenID Connect, and shares no code with the server:
//
//	c := consumer.New(consumer.Config{Issuer: …, ClientID: …, RedirectURL: …, Key: …, Purpose: "dpv:FraudPreventionAndDetection"})
//	attempt, err := c.Start(ctx, consumer.ScopeVerify) // keep attempt with the browser's session, redirect to attempt.URL
//	grant, err := c.Finish(ctx, attempt, r.URL.Query()) // in the handler of RedirectURL
//	yes, err := c.Verify(ctx, grant, "+447700900001")
package consumer
