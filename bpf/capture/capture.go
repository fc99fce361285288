// Package capture reads capture files, pcap and pcapng, plain or compressed
// with gzip, into the frames that the live tap would deliver. Interfaces of one
// pcapng file may have different link types.
package capture

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/simbind/simbind/bpf/wire"
)

// ErrFormat reports a file that is no capture.
var ErrFormat = errors.New("not a pcap or pcapng file")

// A Reader reads frames, in the order of the file.
type Reader struct {
	next func() ([]byte, gopacket.CaptureInfo, wire.LinkType, error)
	last time.Time
}

// NewReader begins to read a file. It reads its head.
func NewReader(r io.Reader) (*Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(4)
	if err != nil {
		return nil, ErrFormat
	}
	if magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		b = bufio.NewReaderSize(z, 1<<16)
		if magic, err = b.Peek(4); err != nil {
			return nil, ErrFormat
		}
	}
	if string(magic) == "\x0a\x0d\x0d\x0a" {
		return newNext(b)
	}
	p, err := pcapgo.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &Reader{next: func() ([]byte, gopacket.CaptureInfo, wire.LinkType, error) {
		data, info, err := p.ReadPacketData()
		return data, info, wire.LinkType(p.LinkType()), err
	}}, nil
}

func newNext(r io.Reader) (*Reader, error) {
	p, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &Reader{next: func() ([]byte, gopacket.CaptureInfo, wire.LinkType, error) {
		data, info, err := p.ReadPacketData()
		link := wire.LinkType(1<<32 - 1)
		if len(info.AncillaryData) > 0 {
			if l, ok := info.AncillaryData[0].(layers.LinkType); ok {
				link = wire.LinkType(l)
			}
		}
		return data, info, link, err
	}}, nil
}

// Next reads one frame; io.EOF is the end of the file. A frame without a time
// (pcapng's Simple Packet Block) has that of the one before it.
func (r *Reader) Next() (wire.Frame, error) {
	data, info, link, err := r.next()
	if err != nil {
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return wire.Frame{}, io.EOF
		}
		return wire.Frame{}, fmt.Errorf("read the capture: %w", err)
	}
	if info.Timestamp.Unix() > 0 {
		r.last = info.Timestamp
	}
	return wire.Frame{Time: r.last, Link: link, Data: data, Length: info.Length}, nil
}
