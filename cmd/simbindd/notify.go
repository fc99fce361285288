package main

import "net"

// What the service manager is told.
const (
	stateReady    = "READY=1"
	stateStopping = "STOPPING=1"
)

// A notifier tells the service manager how far we are (sd_notify(3)). The zero
// value tells nobody.
type notifier struct{ socket string }

// newNotifier takes the value of NOTIFY_SOCKET. A leading '@' names an abstract
// socket, which net.Dial understands the same way.
func newNotifier(socket string) notifier { return notifier{socket} }

// send is best effort: a service manager that is gone changes nothing for us.
func (n notifier) send(state string) {
	if n.socket == "" {
		return
	}
	conn, err := net.Dial("unixgram", n.socket)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state)) // see above
}
