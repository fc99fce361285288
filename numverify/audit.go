package numverify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/origin"
	"github.com/simbind/simbind/numverify/resource"
)

// An audit is the file that says who asked for what, for which purpose, and what
// came of it: one JSON object a line. Numbers and addresses are hashed with a
// key, so that the file can be searched for one by whoever has the key, and
// read without learning any.
type audit struct {
	name string
	key  []byte
	now  func() time.Time
	log  *slog.Logger

	mu   sync.Mutex
	file *os.File
}

func newAudit(name string, key []byte, now func() time.Time, log *slog.Logger) *audit {
	return &audit{name: name, key: key, now: now, log: log}
}

// A line of the audit file.
type auditLine struct {
	Time       time.Time `json:"time"`
	Endpoint   string    `json:"endpoint"`
	Client     string    `json:"client,omitempty"`
	Purpose    string    `json:"purpose,omitempty"`
	Outcome    string    `json:"outcome"`
	Detail     string    `json:"detail,omitempty"`
	Number     string    `json:"number_hmac,omitempty"`
	From       string    `json:"from_hmac,omitempty"`
	Version    uint64    `json:"binding_version,omitempty"`
	Correlator string    `json:"x_correlator,omitempty"`
}

func (a *audit) open() error {
	if a.name == "" {
		return nil
	}
	f, err := os.OpenFile(a.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close()
	}
	a.file = f
	return nil
}

// reopen follows a file that was moved away.
func (a *audit) reopen() {
	if err := a.open(); err != nil {
		a.log.Error("audit file not reopened", "err", err)
	}
}

func (a *audit) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
}

func (a *audit) decision(d authz.Decision) {
	a.write(auditLine{Endpoint: d.Endpoint, Client: d.Client, Purpose: d.Purpose, Outcome: d.Outcome, Detail: d.Detail,
		Number: a.hash(d.SIM.MSISDN), From: a.hash(place(d.From)), Version: d.SIM.Version})
}

func (a *audit) answer(r resource.Answer) {
	a.write(auditLine{Endpoint: r.Endpoint, Client: r.Access.Client, Purpose: r.Access.Purpose, Outcome: r.Outcome,
		Number: a.hash(r.Access.SIM.MSISDN), From: a.hash(place(r.Access.From)), Version: r.Access.SIM.Version, Correlator: r.Correlator})
}

func place(c origin.Client) string {
	if !c.Addr.IsValid() {
		return ""
	}
	return c.Addr.String()
}

func (a *audit) hash(s string) string {
	if s == "" {
		return ""
	}
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte(s))
	return hex.EncodeToString(mac.Sum(nil))
}

func (a *audit) write(line auditLine) {
	line.Time = a.now().UTC()
	text, err := json.Marshal(line)
	if err != nil {
		a.log.Error("audit line not written", "err", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return
	}
	if _, err := a.file.Write(append(text, '\n')); err != nil {
		a.log.Error("audit line not written", "err", err)
	}
}
