package feed

import (
	"crypto/subtle"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
)

// ownUser is the user of our own, in-process connection.
const ownUser = "simbindd"

// A gate decides who may do what on the embedded server: we may do everything,
// whoever comes over the listener may read the stream and ask the service, and
// cannot forge a change, answer in our place, or remove the stream.
type gate struct {
	secret string // of our own connection, new at every start
	token  string // of the listener's clients; "" if none is asked for
	guest  *server.Permissions
}

func newGate(cfg Config) (*gate, error) {
	g := &gate{secret: newSecret(), guest: guestPermissions()}
	if cfg.Embedded.TokenFile == "" {
		return g, nil
	}
	token, err := readSecret(cfg.Embedded.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("embedded token_file: %w", err)
	}
	g.token = token
	return g, nil
}

// Check implements server.Authentication.
func (g *gate) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	if opts.Username == ownUser && same(opts.Password, g.secret) {
		c.RegisterUser(&server.User{Username: ownUser})
		return true
	}
	if c.Kind() != server.CLIENT || g.token != "" && !same(opts.Token, g.token) {
		return false
	}
	c.RegisterUser(&server.User{Username: "guest", Permissions: g.guest})
	return true
}

func same(given, want string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

func guestPermissions() *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.INFO",
			"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.GET.*",
			"$JS.API.DIRECT.GET.>",
			"$JS.API.CONSUMER.>",
			"$JS.ACK.>", "$JS.FC.>",
			"$SRV.>",
			subjectRoot + ".*.svc.>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			"_INBOX.>",
			subjectRoot + ".*.change.>", subjectRoot + ".*.heartbeat",
		}},
	}
}
