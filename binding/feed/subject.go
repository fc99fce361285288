package feed

import (
	"strconv"
	"strings"

	"github.com/simbind/simbind/binding"
)

const subjectRoot = "simbind.v1"

// streamSubjects is what a stream of ours takes: the changes of all sites.
const streamSubjects = subjectRoot + ".*.change.>"

// siteSubjects matches every change of one site.
func siteSubjects(site string) string { return subjectRoot + "." + site + ".change.>" }

// changeSubject is where changes of one kind of a site go.
func changeSubject(site string, kind binding.ChangeKind) string {
	return subjectRoot + "." + site + ".change." + kind.String()
}

// subjectSite is the site that a subject of ours names, "" for another subject.
func subjectSite(subject string) string {
	rest, ok := strings.CutPrefix(subject, subjectRoot+".")
	if !ok {
		return ""
	}
	site, _, _ := strings.Cut(rest, ".")
	return site
}

func serviceSubject(site, endpoint string) string {
	return subjectRoot + "." + site + ".svc." + endpoint
}

// heartbeatSubject is where a site says how it is.
func heartbeatSubject(site string) string { return subjectRoot + "." + site + ".heartbeat" }

// messageID is the Nats-Msg-Id of a change.
func messageID(site, incarnation string, seq uint64) string {
	b := make([]byte, 0, len(site)+len(incarnation)+22)
	b = append(append(b, site...), '-')
	b = append(append(b, incarnation...), '-')
	return string(strconv.AppendUint(b, seq, 10))
}

// parseMessageID is the inverse of messageID for a known site.
func parseMessageID(site, id string) (incarnation string, seq uint64, ok bool) {
	rest, ok := strings.CutPrefix(id, site+"-")
	cut := strings.LastIndexByte(rest, '-')
	if !ok || cut < 1 {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(rest[cut+1:], 10, 64)
	return rest[:cut], seq, err == nil && seq > 0
}

// covers reports whether every subject that matches inner matches outer.
func covers(outer, inner string) bool {
	o, i := strings.Split(outer, "."), strings.Split(inner, ".")
	for n, token := range o {
		if token == ">" {
			return len(i) > n
		}
		if n >= len(i) || i[n] == ">" || token != "*" && token != i[n] {
			return false
		}
	}
	return len(o) == len(i)
}
