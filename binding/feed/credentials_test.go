package feed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/simbind/simbind/binding"
)

// least is what docs/nats-feed.md tells an operator to allow to simbindd.
func least(site string) *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"simbind.v1." + site + ".change.>", "simbind.v1." + site + ".heartbeat",
			"$JS.API.STREAM.INFO.SIMBIND", "$JS.API.STREAM.CREATE.SIMBIND",
			"$JS.API.STREAM.MSG.GET.SIMBIND",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}
}

// ofPair is what a member of a pair needs besides, and what the service needs.
func ofPair(site string) *server.Permissions {
	p := least(site)
	p.Publish.Allow = append(p.Publish.Allow, "simbind.v1."+site+".svc.snapshot", "$JS.API.CONSUMER.>", "$JS.API.DIRECT.GET.SIMBIND")
	p.Subscribe.Allow = append(p.Subscribe.Allow, "simbind.v1."+site+".heartbeat", "simbind.v1."+site+".svc.>", "$SRV.>")
	p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	return p
}

func TestThePermissionsOfAPairAreEnough(t *testing.T) {
	t.Parallel()
	op := newOperator(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "north", Password: "north", Permissions: ofPair("north")}, {Username: "admin", Password: "admin"}}
	})
	as := func(user string) string {
		return strings.Replace(op.url(), "nats://", "nats://"+user+":"+user+"@", 1)
	}
	both := newCouple(t, as("north"))
	centre := newStation(t, "centre", as("admin"), All)
	both.says(binding.SessionStart, "1", "10.1.0.1", 1)
	centre.awaits("10.1.0.1", 1, "match/bound")
	both.each["a"].crash()
	both.each["b"].says(binding.SessionStart, "2", "10.1.0.2", 2)
	centre.awaits("10.1.0.2", 2, "match/bound")
	if p := centre.progress("north"); p.Snapshots != 1 {
		t.Errorf("the replica noticed it: %+v", p)
	}
}

func TestAUserWithTheDocumentedPermissionsIsEnough(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	op := newOperator(t, func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: public, Permissions: least("lab")}}
		o.Users = []*server.User{{Username: "admin", Password: "admin"}}
	})
	cfg := clusterConfig(op.url())
	cfg.NKeyFile = writeFile(t, string(seed))
	outbox := deliver(t, cfg, 1, 30)
	outbox.fill(31, 40)
	cfg.Journal.Seq = 40
	start(t, cfg, outbox, nil).awaitDelivered(40)
	wantChanges(t, readAll(t, client(t, op.url(), nats.UserInfo("admin", "admin"))), "abc", 1, 40)
}

func TestTheServiceWithTheDocumentedPermissions(t *testing.T) {
	permissions := least("lab")
	permissions.Subscribe.Allow = append(permissions.Subscribe.Allow, "simbind.v1.lab.svc.>", "$SRV.>")
	permissions.Response = &server.ResponsePermission{MaxMsgs: server.DEFAULT_ALLOW_RESPONSE_MAX_MSGS, Expires: server.DEFAULT_ALLOW_RESPONSE_EXPIRATION}
	op := newOperator(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "simbindd", Password: "p", Permissions: permissions},
			{Username: "asker", Password: "p", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{"simbind.v1.*.svc.>"}},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
			}},
		}
	})
	cfg := clusterConfig(strings.Replace(op.url(), "://", "://simbindd:p@", 1))
	cfg.Service = true
	f := start(t, cfg, newFakeOutbox(), newFakeAsker(t))
	until(t, "ready", f.Ready)
	got, err := ask(t, client(t, op.url(), nats.UserInfo("asker", "p")), "verify", `{"addr":"10.0.0.1","number":"+491700000001"}`)
	if err != nil || !strings.Contains(got, `"match"`) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	permissions := least("lab")
	permissions.Publish.Allow = permissions.Publish.Allow[1:] // not the changes
	op := newOperator(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: permissions}}
	})
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	f := New(clusterConfig(strings.Replace(op.url(), "://", "://u:p@", 1)), outbox, nil, testLog(t))
	f.timeout = time.Second
	r := run(t, f)
	r.awaitProblem(`Permissions Violation for Publish to "simbind.v1.lab.change.`)
	if strings.Contains(r.State().Server, "p@") {
		t.Errorf("the server's URL shows the password: %s", r.State().Server)
	}
	if outbox.size() != 3 {
		t.Errorf("%d changes are left", outbox.size())
	}
}

func TestWrongCredentialsAreAProblemAndNotTheEnd(t *testing.T) {
	op := newOperator(t, func(o *server.Options) { o.Authorization = "right" })
	file := writeFile(t, "wrong")
	cfg := clusterConfig(op.url())
	cfg.TokenFile = file
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	f := start(t, cfg, outbox, nil)
	f.awaitProblem("Authorization Violation")
	if err := os.WriteFile(file, []byte("right\n"), 0o600); err != nil { // rotated while running
		t.Fatal(err)
	}
	f.awaitDelivered(3)
}

func TestACredsFileOverTLSWithAClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	operatorKey, _ := nkeys.CreateOperator()
	operatorPublic, _ := operatorKey.PublicKey()
	accountKey, _ := nkeys.CreateAccount()
	accountPublic, _ := accountKey.PublicKey()
	claims := jwt.NewAccountClaims(accountPublic)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	account, err := claims.Encode(operatorKey)
	if err != nil {
		t.Fatal(err)
	}
	systemKey, _ := nkeys.CreateAccount()
	systemPublic, _ := systemKey.PublicKey()
	system, err := jwt.NewAccountClaims(systemPublic).Encode(operatorKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := ca.issue(t, "127.0.0.1")
	op := newOperator(t, func(o *server.Options) {
		resolver := &server.MemAccResolver{}
		_ = resolver.Store(accountPublic, account)
		_ = resolver.Store(systemPublic, system)
		o.AccountResolver, o.SystemAccount = resolver, systemPublic
		o.TrustedKeys = []string{operatorPublic}
		o.TLSConfig, err = server.GenTLSConfig(&server.TLSConfigOpts{CertFile: certFile, KeyFile: keyFile, CaFile: ca.file, Verify: true})
		o.TLSTimeout = testDeadline.Seconds()
	})
	if err != nil {
		t.Fatal(err)
	}
	creds := userCreds(t, accountKey)

	cfg := clusterConfig(op.url())
	cfg.CredsFile, cfg.TLS.CAFile = creds, ca.file
	f := start(t, cfg, newFakeOutbox(), nil)
	f.awaitProblem("tls")
	_ = f.stop()

	cfg.TLS.CertFile, cfg.TLS.KeyFile = ca.issue(t, "simbindd")
	deliver(t, cfg, 1, 10)
	nc := client(t, op.url(), nats.UserCredentials(creds), nats.RootCAs(ca.file), nats.ClientCert(cfg.TLS.CertFile, cfg.TLS.KeyFile))
	wantChanges(t, readAll(t, nc), "abc", 1, 10)
}

func userCreds(t *testing.T, account nkeys.KeyPair) string {
	t.Helper()
	user, _ := nkeys.CreateUser()
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	token, err := jwt.NewUserClaims(public).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, string(creds))
}

func TestTheEmbeddedListenerSpeaksTLS(t *testing.T) {
	ca := newAuthority(t)
	cfg := embeddedConfig(t)
	cfg.Embedded.CertFile, cfg.Embedded.KeyFile = ca.issue(t, "127.0.0.1")
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(5)
	nc := client(t, f.Addr(), nats.RootCAs(ca.file))
	if _, err := nc.TLSConnectionState(); err != nil {
		t.Error(err)
	}
	wantChanges(t, readAll(t, nc), "abc", 1, 5)
	if nc, err := nats.Connect(f.Addr()); err == nil {
		nc.Close()
		t.Error("connected without trusting the authority")
	}
}

// An authority signs certificates for a test.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}}
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	a.write(t, a.file, a.cert, a.key)
	return a
}

// issue writes a certificate for a name, for servers and clients.
func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, dir := newKey(t), t.TempDir()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ip := net.ParseIP(name); ip != nil {
		cert.IPAddresses, cert.DNSNames = []net.IP{ip}, nil
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.write(t, certFile, cert, key)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, keyFile, "EC PRIVATE KEY", der)
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

func (a *authority) write(t *testing.T, file string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, file, "CERTIFICATE", der)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(fmt.Errorf("generate key: %w", err))
	}
	return key
}
