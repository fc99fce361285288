package sh

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/simbind/simbind/binding"
)

const (
	// maxTokens bounds the work for one document, maxNesting its depth, and
	// maxText what is kept of a value.
	maxTokens  = 4096
	maxNesting = 16
	maxText    = 64
)

// root is the element that holds all others (TS 29.328 annex D).
const root = "Sh-Data"

// isMSISDN reports whether a path is that of the subscriber's number. An MSISDN
// elsewhere, such as in the ServiceData of somebody's own, is not.
func isMSISDN(path []string) bool {
	return len(path) == 3 && path[1] == "PublicIdentifiers" && path[2] == "MSISDN"
}

// isIMSI reports whether a path is that of the subscriber's IMSI, which is in
// an extension of an extension.
func isIMSI(path []string) bool {
	last := len(path) - 1
	return last > 1 && path[last] == "IMSI" && !slices.ContainsFunc(path[1:last], func(name string) bool { return name != "Extension" })
}

// shData is what User-Data says.
type shData struct {
	msisdn  binding.MSISDN // zero: none
	several bool           // numbers that differ; msisdn is zero then
	imsi    binding.IMSI   // zero: it does not tell
}

var errXML = errors.New("User-Data is not the XML of Sh-Data")

// readData reads the XML of User-Data; none, or none that tells a number, is
// no error. A number that is none is. Errors wrap ErrMalformed.
func readData(data []byte) (said shData, err error) {
	if len(data) == 0 {
		return shData{}, nil
	}
	d := document{decoder: xml.NewDecoder(bytes.NewReader(data))}
	err = d.read(func(path []string, text string) error { return said.take(path, text) })
	if err != nil {
		return shData{}, malformed(err)
	}
	return said, nil
}

// take takes one value.
func (s *shData) take(path []string, text string) error {
	switch {
	case text == "":
	case isMSISDN(path):
		msisdn, err := binding.ParseMSISDN(text)
		if err != nil {
			return err
		}
		s.several = s.several || s.msisdn != 0 && s.msisdn != msisdn
		s.msisdn = msisdn
		if s.several {
			s.msisdn = 0
		}
	case isIMSI(path):
		imsi, err := binding.ParseIMSI(text)
		if err != nil {
			return err
		}
		if s.imsi != 0 && s.imsi != imsi {
			return errors.New("it tells two IMSIs")
		}
		s.imsi = imsi
	}
	return nil
}

// A document is XML that is walked once, within bounds.
type document struct {
	decoder *xml.Decoder
	path    []string
	text    strings.Builder
	long    bool // there was more text
	roots   int
}

// read calls value at the end of each element, with the text since its start.
func (d *document) read(value func(path []string, text string) error) error {
	for range maxTokens {
		token, err := d.decoder.Token()
		if errors.Is(err, io.EOF) && len(d.path) == 0 && d.roots == 1 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: offset %d", errXML, d.decoder.InputOffset())
		}
		if err := d.take(token, value); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: more than %d tokens", errXML, maxTokens)
}

func (d *document) take(token xml.Token, value func(path []string, text string) error) error {
	switch t := token.(type) {
	case xml.StartElement:
		return d.open(t.Name.Local)
	case xml.CharData:
		room := maxText - d.text.Len()
		d.long = d.long || len(t) > room
		d.text.Write(t[:min(len(t), room)])
	case xml.EndElement:
		text := strings.TrimSpace(d.text.String())
		if d.long {
			text = "too long" // rather than a part of it
		}
		err := value(d.path, text)
		d.path = d.path[:len(d.path)-1]
		d.text.Reset()
		d.long = false
		return err
	case xml.Directive:
		return fmt.Errorf("%w: a document type", errXML)
	}
	return nil
}

// open begins an element.
func (d *document) open(name string) error {
	switch {
	case len(d.path) == 0:
		if d.roots++; d.roots > 1 || name != root {
			return fmt.Errorf("%w: it is another document", errXML)
		}
	case len(d.path) == maxNesting:
		return fmt.Errorf("%w: nested more than %d deep", errXML, maxNesting)
	case isMSISDN(d.path) || isIMSI(d.path):
		return fmt.Errorf("%w: an element within an identity", errXML)
	}
	d.path = append(d.path, name)
	d.text.Reset()
	d.long = false
	return nil
}
