package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simbind/simbind/radius/radiustest"
)

// TestAReplicaThatWasSuspended: what it knew is older than loss_timeout when it
// goes on, whatever of it runs first.
func TestAReplicaThatWasSuspended(t *testing.T) {
	_, owner := newOwner(t, "clear")
	owner.mustAccount(t, 1, radiustest.Start)
	h := newHome(t)
	follows := "nats: {url: \"" + owner.log.find("nats server listens", "url") + "\"}\nfollow: [north]\nloss_timeout: 4s"
	h.configure(t, strings.Replace(h.yaml(), `nats: {embedded: {listen: "127.0.0.1:0"}}`, follows, 1))
	p := h.spawn(t)
	addr := testAddr(1).String()
	eventually(t, "the site's word", func() bool { return p.verdict(t, addr, testNumber(1)) == "match bound" })
	var askers []net.Conn
	for range 16 {
		conn, err := net.Dial("unix", p.socket())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		askers = append(askers, conn)
		conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "PING\r\n") // it is accepted
		if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	suspended := p.cmd.Process
	if err := suspended.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer suspended.Signal(syscall.SIGCONT)
	owner.mustAccount(t, 1, radiustest.Stop)
	for _, conn := range askers {
		fmt.Fprintf(conn, "VERIFY %s %s\r\n", addr, testNumber(1))
	}
	<-time.After(5 * time.Second) // longer than loss_timeout
	if err := suspended.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, conn := range askers {
		answer := bufio.NewReader(conn)
		answer.ReadString('\n') // *4
		answer.ReadString('\n') // $n
		if verdict, err := answer.ReadString('\n'); err != nil || strings.TrimSpace(verdict) == "match" {
			t.Errorf("after longer than loss_timeout without a heartbeat: %q, %v", verdict, err)
		}
	}
	eventually(t, "it has caught up", func() bool { return p.verdict(t, addr, testNumber(1)) == "unknown no-binding" })
}
