package feed

import "testing"

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		version, want string
		ok            bool
	}{
		{"2.15.0", "2.12", true},
		{"2.12.0", "2.12", true},
		{"2.12.0-RC.1", "2.12", true},
		{"2.9.25", "2.12", false},
		{"2.11.9", "2.12", false},
		{"3.0.0", "2.12", true},
		{"1.99.0", "2.12", false},
		{"", "2.12", true},
		{"dev", "2.12", true},
	} {
		if got := atLeast(c.version, c.want); got != c.ok {
			t.Errorf("atLeast(%q, %q) = %v", c.version, c.want, got)
		}
	}
}
