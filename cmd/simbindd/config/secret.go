package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxFile bounds the configuration file, maxSecret a file with a secret.
const (
	maxFile   = 1 << 20
	maxSecret = 64 << 10
)

// secret is what the file holds, without one line end. It is read once; a
// reload reads it again.
func (p place) secret(name string) []byte {
	b, mode, err := readBounded(name, maxSecret)
	if err == nil {
		b = bytes.TrimSuffix(b, []byte("\n"))
		b = bytes.TrimSuffix(b, []byte("\r"))
		if len(b) == 0 {
			err = fmt.Errorf("%s is empty", name)
		}
	}
	if !p.check(err) {
		return nil
	}
	p.warnReadable(name, mode)
	return b
}

// secretFile checks that a file with a secret, which its part reads by itself,
// can be read.
func (p place) secretFile(name string) string {
	if name == "" {
		return ""
	}
	_, mode, err := readBounded(name, maxSecret)
	if p.check(err) {
		p.warnReadable(name, mode)
	}
	return name
}

// publicFile checks that a file without secrets can be read.
func (p place) publicFile(name string) string {
	if name == "" {
		return ""
	}
	_, _, err := readBounded(name, maxFile)
	p.check(err)
	return name
}

func (p place) warnReadable(name string, mode os.FileMode) {
	if mode&0o004 != 0 {
		p.warnf("every user of this host can read %s (mode %04o); run: chmod o-r %s", name, mode.Perm(), name)
	}
}

func readBounded(name string, limit int64) ([]byte, os.FileMode, error) {
	info, err := os.Stat(name) // before it is opened: a pipe would block
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("is larger than %d bytes", limit)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return b, info.Mode(), nil
}
