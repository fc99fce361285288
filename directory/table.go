package directory

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/simbind/simbind/binding"
)

// A row is a SIM and its number.
type row struct {
	imsi   binding.IMSI
	msisdn binding.MSISDN
}

// A table is an export in memory: rows sorted by SIM, 16 bytes each.
type table struct {
	rows        []row
	contradicts int // SIMs that the export gave two numbers: they have none
}

// lookup finds the number of a SIM, zero if it has none.
func (t *table) lookup(imsi binding.IMSI) binding.MSISDN {
	i, ok := slices.BinarySearchFunc(t.rows, imsi, func(r row, imsi binding.IMSI) int { return cmp.Compare(r.imsi, imsi) })
	if !ok {
		return 0
	}
	return t.rows[i].msisdn
}

// lineMax bounds a line of an export.
const lineMax = 4096

// The formats of an export.
const (
	CSV    = "csv"    // imsi,msisdn; a first line with these names may be there
	NDJSON = "ndjson" // {"imsi":"…","msisdn":"…"}
)

// readTable reads an export. What is wrong with a line is an error with its
// number: a half understood export is none.
func readTable(r io.Reader, format string, most int) (*table, error) {
	parse := parseCSV
	if format == NDJSON {
		parse = parseJSON
	}
	t := &table{}
	end := &lastOctet{Reader: r}
	lines := bufio.NewScanner(end)
	lines.Buffer(make([]byte, 0, lineMax), lineMax)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(line) == 0 || n == 1 && format != NDJSON && isHeader(line) {
			continue
		}
		if len(t.rows) == most {
			return nil, fmt.Errorf("line %d: more than %d rows", n, most)
		}
		row, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		t.rows = append(t.rows, row)
	}
	switch err := lines.Err(); {
	case err != nil:
		return nil, err
	case format != NDJSON && end.octet != '\n' && len(t.rows) > 0:
		return nil, errCut
	}
	t.sort()
	return t, nil
}

// errCut: digits of the last number may be missing, and what is left may be
// somebody's. JSON that is cut off is none.
var errCut = errors.New("the last line has no end: the file may be cut off")

// A lastOctet keeps the last octet that was read.
type lastOctet struct {
	io.Reader
	octet byte
}

func (l *lastOctet) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if n > 0 {
		l.octet = b[n-1]
	}
	return n, err
}

func isHeader(line []byte) bool {
	first, _, _ := bytes.Cut(line, []byte(","))
	return bytes.EqualFold(bytes.Trim(first, `" `), []byte("imsi"))
}

var errColumns = errors.New("not imsi,msisdn")

func parseCSV(line []byte) (row, error) {
	first, second, ok := bytes.Cut(line, []byte(","))
	if !ok {
		return row{}, errColumns
	}
	second, _, _ = bytes.Cut(second, []byte(",")) // more columns are of no interest
	return parseRow(string(bytes.Trim(first, `" `)), string(bytes.Trim(second, `" `)))
}

func parseJSON(line []byte) (row, error) {
	var v struct{ IMSI, MSISDN string }
	if err := json.Unmarshal(line, &v); err != nil {
		return row{}, err
	}
	return parseRow(v.IMSI, v.MSISDN)
}

func parseRow(imsi, msisdn string) (r row, err error) {
	if r.imsi, err = binding.ParseIMSI(imsi); err != nil {
		return r, err
	}
	r.msisdn, err = binding.ParseMSISDN(msisdn)
	return r, err
}

// sort orders the rows and takes out SIMs with two numbers: nobody can say which
// is right.
func (t *table) sort() {
	slices.SortFunc(t.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.imsi, b.imsi), cmp.Compare(a.msisdn, b.msisdn))
	})
	kept := t.rows[:0]
	for i := 0; i < len(t.rows); {
		j := i + 1
		for j < len(t.rows) && t.rows[j].imsi == t.rows[i].imsi {
			j++
		}
		if t.rows[i].msisdn == t.rows[j-1].msisdn {
			kept = append(kept, t.rows[i])
		} else {
			t.contradicts++
		}
		i = j
	}
	t.rows = kept
}

// differences calls fn with each SIM whose number differs between two tables.
func differences(old, next *table, fn func(binding.IMSI)) {
	i, j := 0, 0
	for i < len(old.rows) || j < len(next.rows) {
		switch {
		case j == len(next.rows) || i < len(old.rows) && old.rows[i].imsi < next.rows[j].imsi:
			fn(old.rows[i].imsi)
			i++
		case i == len(old.rows) || next.rows[j].imsi < old.rows[i].imsi:
			fn(next.rows[j].imsi)
			j++
		default:
			if old.rows[i].msisdn != next.rows[j].msisdn {
				fn(old.rows[i].imsi)
			}
			i, j = i+1, j+1
		}
	}
}
