package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
)

func (c *cli) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "watch [FILTER]…",
		Short: "Follow the changes, live",
		Long: `Follow the changes, live, until Ctrl-C (exit 0). With -o json one object a
line. It ends with an error when the daemon does, or when it cannot keep up.

A FILTER is a kind of change (bound, updated, moved, released, conflict,
simchange), domain=NAME, msisdn=+E164, imsi=DIGITS or addr=PREFIX. Several of
one sort are alternatives; a change must pass every sort that is named.`,
		Example: "  simbind watch moved conflict addr=10.45.0.0/16",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.watch(cmd.Context(), args) },
	}
}

func (c *cli) watch(ctx context.Context, filter []string) error {
	dialCtx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client, err := c.dial(dialCtx, c.socket)
	if err != nil {
		return err
	}
	defer client.Close()
	changes, err := client.Watch(ctx, filter...)
	if err != nil {
		return err
	}
	for change := range changes {
		if err := c.printChange(change); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := client.Err(); err != nil {
		return err
	}
	return errors.New("simbindd ended the watch")
}

func (c *cli) printChange(ch query.ChangeReply) error {
	if c.output == "json" {
		enc := json.NewEncoder(c.stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(ch)
	}
	_, err := fmt.Fprintln(c.stdout, printable(changeLine(ch)))
	return err
}

// changeLine is one change for people. Columns that have a natural width are
// padded to it, as nobody knows the lines to come.
func changeLine(ch query.ChangeReply) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-9s  %-20s  %s", utc(ch.At), ch.Kind, ch.Addr, holder(ch.MSISDN, ch.IMSI))
	if was := holder(ch.WasMSISDN, ch.WasIMSI); was != "-" {
		fmt.Fprintf(&b, "  was %s", was)
	}
	doubt := ""
	if ch.State != "" && ch.State != binding.StateBound.String() && ch.State != binding.StateReleased.String() {
		doubt = ch.State + "/" + ch.Reason
	}
	for _, f := range []struct{ name, value string }{
		{"domain", ch.Domain}, {"apn", ch.APN}, {"node", ch.Node}, {"sources", words(ch.Sources)}, {"state", doubt}, {"why", ch.Why},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "  %s=%s", f.name, f.value)
		}
	}
	return b.String()
}

// holder names a subscriber by the number, else by the IMSI.
func holder(msisdn, imsi string) string {
	switch {
	case msisdn != "":
		return msisdn
	case imsi != "":
		return "imsi " + imsi
	default:
		return "-"
	}
}
