package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/bpf/capture"
	"github.com/simbind/simbind/bpf/observe"
)

func (c *cli) replayCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "What a capture of signalling would bind",
		Long: `Read a capture file through the decoders of the live tap, and print the events
and the bindings that it yields. The file is pcap or pcapng, of Ethernet, Linux
cooked or raw IP frames, or Diameter messages one after another (.diam). Nothing
is sent anywhere, and no simbindd is asked.

Any address is accepted, unless --config names a file of simbindd whose domains
have pools. With -o json each line is an object: its "type" is "event", or at the
end "binding".`,
		Example: "  simbind replay core.pcapng\n  simbind replay core.pcap -o json | jq 'select(.type==\"binding\")'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.replay(cmd.Context(), args[0], config)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "file of simbindd that names domains and pools")
	return cmd
}

// A replayed event is one line of the output.
type replayedEvent struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time,omitzero"`
	Kind    string    `json:"kind"`
	Source  string    `json:"source"`
	Node    string    `json:"node"`
	Session string    `json:"session,omitempty"`
	MSISDN  string    `json:"msisdn,omitempty"`
	IMSI    string    `json:"imsi,omitempty"`
	IMEI    string    `json:"imei,omitempty"`
	APN     string    `json:"apn,omitempty"`
	RAT     string    `json:"rat,omitempty"`
	Addrs   []string  `json:"addrs,omitempty"`
	Gone    []string  `json:"gone,omitempty"`
}

func newReplayedEvent(ev *binding.Event) replayedEvent {
	r := replayedEvent{
		Type: "event", Time: ev.Arrived.UTC(), Kind: ev.Kind.String(), Source: ev.Source.String(), Node: ev.Node, Session: ev.Session,
		MSISDN: ev.MSISDN.String(), IMSI: ev.IMSI.String(), IMEI: ev.IMEI.String(), APN: ev.APN, RAT: ev.RAT.String(),
	}
	for _, a := range ev.Addrs {
		r.Addrs = append(r.Addrs, a.String())
	}
	for _, a := range ev.Gone {
		r.Gone = append(r.Gone, a.String())
	}
	return r
}

// A replayedBinding is what became of one address.
type replayedBinding struct {
	Type string `json:"type"`
	query.BindingReply
}

func (c *cli) replay(ctx context.Context, name, config string) error {
	domains, err := domainsOf(config)
	if err != nil {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	off, stop, err := newOffline(ctx, domains)
	if err != nil {
		return err
	}
	defer stop()
	off.event = c.printEvent
	observer := observe.NewStandard(off.submit, observe.Settings{})
	reader, err := capture.NewReader(file)
	switch {
	case errors.Is(err, capture.ErrFormat):
		err = off.replayDiameter(ctx, file)
	case err == nil:
		err = off.replayFrames(ctx, reader, observer)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "simbind: %s ends in the middle of a frame: what came before it was read\n", name)
	}
	return c.printReplayed(off, observer)
}

func (c *cli) printEvent(ev *binding.Event) {
	r := newReplayedEvent(ev)
	if c.output == "json" {
		c.printLine(r)
		return
	}
	words := []string{r.Time.Format(time.RFC3339Nano), r.Kind, r.Source, r.Node, r.Session}
	words = append(words, r.Addrs...)
	for _, a := range r.Gone {
		words = append(words, "without "+a)
	}
	for _, w := range []string{r.MSISDN, prefixed("imsi ", r.IMSI), prefixed("apn ", r.APN), r.RAT} {
		if w != "" {
			words = append(words, w)
		}
	}
	fmt.Fprintln(c.stdout, printable(strings.Join(words, " ")))
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// printLine writes an object in one line.
func (c *cli) printLine(v any) {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a closed pipe shows itself at the end
}

// printReplayed writes what became of the addresses, and for people what was
// read.
func (c *cli) printReplayed(off *offline, st *observe.Standard) error {
	list := off.bindings()
	if c.output == "json" {
		for _, b := range list {
			c.printLine(replayedBinding{"binding", b})
		}
		return nil
	}
	fmt.Fprintln(c.stdout)
	g := newGrid(c.stdout)
	if len(list) > 0 {
		g.row("ADDRESS", "STATE", "MSISDN", "IMSI", "APN", "NODE", "SOURCES", "SINCE")
	}
	for _, b := range list {
		g.row(b.Addr, b.State, b.MSISDN, b.IMSI, b.APN, b.Node, strings.Join(b.Sources, ","), utc(b.Since))
	}
	if err := g.w.Flush(); err != nil {
		return err
	}
	n, gtp, pfcp := st.Counts(), st.GTP.Counts(), st.PFCP.Counts()
	fmt.Fprintf(c.stdout, "%d addresses; %d packets, %d of them on signalling ports; %d responses without their request, %d messages of sessions that began earlier, %d malformed\n",
		len(list), n.Wire.Delivered+off.messages, n.Packets, gtp.Unpaired+pfcp.Unpaired, gtp.Unresolved+pfcp.Unresolved,
		gtp.Malformed+pfcp.Malformed+n.Wire.Malformed)
	if n.Wire.UnknownLink > 0 {
		fmt.Fprintf(c.stdout, "%d frames are of a link type that is not known\n", n.Wire.UnknownLink)
	}
	return nil
}
