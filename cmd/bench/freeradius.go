package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A freeRADIUS is a FreeRADIUS server that writes each accounting request into
// a detail file, which is not synced, and does nothing else.
type freeRADIUS struct {
	*process
	server string // host:port
	detail string
}

// freeRADIUSConfig has the placeholders directory, port and secret. On two
// processors four threads did as well as two, and better than one or eight.
const freeRADIUSConfig = `
prefix = /usr
libdir = /usr/lib/freeradius
logdir = %[1]s
run_dir = %[1]s
pidfile = %[1]s/pid
max_request_time = 30
cleanup_delay = 0
max_requests = 65536
log {
	destination = stdout
	auth = no
}
security {
	max_attributes = 200
	status_server = no
}
client loopback {
	ipaddr = 127.0.0.0/8
	secret = %[3]s
}
thread pool {
	start_servers = 4
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 4
	max_requests_per_server = 0
	auto_limit_acct = no
}
modules {
	detail {
		filename = %[1]s/detail
		permissions = 0600
		header = "%%t"
	}
}
server bench {
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = %[2]d
		recv_buff = 4194304
	}
	accounting {
		detail
	}
}
`

func startFreeRADIUS(ctx context.Context, s *stage) (*freeRADIUS, error) {
	dir, err := os.MkdirTemp(s.dir, "fr")
	if err != nil {
		return nil, err
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	addr := udp.LocalAddr().(*net.UDPAddr)
	udp.Close()
	config := fmt.Sprintf(freeRADIUSConfig, dir, addr.Port, secret)
	if err := os.WriteFile(filepath.Join(dir, "radiusd.conf"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	p, err := launch(dir, "freeradius", "-f", "-l", "stdout", "-d", dir, "-n", "radiusd")
	if err != nil {
		return nil, err
	}
	f := &freeRADIUS{p, addr.String(), filepath.Join(dir, "detail")}
	if err := p.await(ctx, 20*time.Second, f.answers); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// answers sends one session until it is answered.
func (f *freeRADIUS) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	probe := newTraffic(f.server, startOnly, guests(), 1)
	probe.sockets, probe.window = 1, 1
	_, err := probe.send(ctx)
	return err
}

// recorded counts the requests in the detail file.
func (f *freeRADIUS) recorded() (uint64, error) {
	file, err := os.Open(f.detail)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var n uint64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if bytes.Contains(lines.Bytes(), []byte("Acct-Status-Type = ")) {
			n++
		}
	}
	return n, lines.Err()
}
