package feed

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

func TestHearingWhatMayHaveChanged(t *testing.T) {
	const change = `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"moved","domain":"internet","addr":"10.0.0.1"}`
	for _, tt := range []struct{ claim, site, body, want string }{
		{"its address", "north", change, "[north 10.0.0.1]"},
		{"nothing by a change of ours", "centre", change, "[]"},
		{"nothing by a change of SIM", "north", `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"simchange","msisdn":"+491700000001"}`, "[]"},
		{"everything if it is no JSON", "north", change[:40], "[everything]"},
		{"everything if it has no number", "north", `{"v":1,"site":"north","kind":"moved","addr":"10.0.0.1"}`, "[everything]"},
		{"everything if it is another site's", "south", change, "[everything]"},
		{"everything if it is of another version", "north", `{"v":2,"site":"north","incarnation":"i","seq":1,"kind":"moved","addr":"10.0.0.1"}`, "[everything]"},
		{"everything of the site if it names no address", "north", `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"moved"}`, "[north anything]"},
		{"everything of the site if its address is none", "north", `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"moved","addr":"10.0.0"}`, "[north anything]"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			var told []string
			f := New(Config{Site: "centre", Changes: func(site string, addr binding.Address) {
				switch {
				case site == "":
					told = append(told, "everything")
				case !addr.Prefix.IsValid():
					told = append(told, site+" anything")
				default:
					told = append(told, site+" "+addr.String())
				}
			}}, nil, nil, testLog(t))
			f.hearChange(&nats.Msg{Subject: "simbind.v1." + tt.site + ".change.moved", Data: []byte(tt.body)})
			if got := fmt.Sprint(told); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
