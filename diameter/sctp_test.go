package diameter

import (
	"bytes"
	"errors"
	"net"
	"testing"
)

// A recorder keeps each write.
type recorder struct {
	net.Conn
	writes [][]byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.writes = append(r.writes, bytes.Clone(b))
	return len(b), nil
}

func TestOverSCTPMessagesLeaveOneByOne(t *testing.T) {
	r := &recorder{}
	all := append(append(message(40), message(20)...), message(100)...)
	if n, err := (sctpConn{r}).Write(all); n != len(all) || err != nil {
		t.Fatal(n, err)
	}
	if len(r.writes) != 3 || len(r.writes[0]) != 40 || len(r.writes[1]) != 20 || len(r.writes[2]) != 100 || !bytes.Equal(bytes.Join(r.writes, nil), all) {
		t.Errorf("%d writes", len(r.writes))
	}
}

// Where the kernel has SCTP, it listens; what it accepts is then a stream like
// TCP's.
func TestSCTPListens(t *testing.T) {
	l, err := listenSCTP("127.0.0.1:0")
	if errors.Is(err, errNoSCTP) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
