package main

import (
	"errors"
	"testing"
	"testing/fstest"

	"github.com/simbind/simbind/binding/query"
)

func TestDoctorLooksAtWhatTheTapNeeds(t *testing.T) {
	well := fstest.MapFS{
		"proc/sys/kernel/osrelease":    {Data: []byte("6.12.9-amd64\n")},
		"proc/42/status":               {Data: []byte("CapEff:\t0000008000003000\n")},
		"sys/kernel/btf/vmlinux":       {},
		"sys/class/net/eth0/type":      {Data: []byte("1\n")},
		"sys/class/net/eth0/operstate": {Data: []byte("up\n")},
		"sys/class/net/ib0/type":       {Data: []byte("32\n")},
		"sys/class/net/eth9/type":      {Data: []byte("1\n")},
		"sys/class/net/eth9/operstate": {Data: []byte("down\n")},
	}
	for _, tc := range []struct {
		claim, check string
		file, text   string // replaced; "-" removes it
		pattern      string
		want         level
	}{
		{"a new kernel", "tap-kernel", "", "", "eth0", levelOK},
		{"a kernel without TCX still works", "tap-kernel", "proc/sys/kernel/osrelease", "5.15.0", "eth0", levelOK},
		{"a kernel without a ring buffer does not", "tap-kernel", "proc/sys/kernel/osrelease", "4.18.0-553.el8", "eth0", levelFail},
		{"a kernel that does not say", "tap-kernel", "proc/sys/kernel/osrelease", "Linux", "eth0", levelWarn},
		{"all capabilities", "tap-capabilities", "", "", "eth0", levelOK},
		{"without CAP_NET_RAW it works", "tap-capabilities", "proc/42/status", "CapEff:\t0000008000001000\n", "eth0", levelOK},
		{"without CAP_BPF it does not", "tap-capabilities", "proc/42/status", "CapEff:\t0000000000003000\n", "eth0", levelFail},
		{"CAP_SYS_ADMIN stands for CAP_BPF", "tap-capabilities", "proc/42/status", "CapEff:\t0000000000201000\n", "eth0", levelOK},
		{"without CAP_NET_ADMIN it does not", "tap-capabilities", "proc/42/status", "CapEff:\t0000008000000000\n", "eth0", levelFail},
		{"BTF", "tap-btf", "", "", "eth0", levelOK},
		{"no BTF is no trouble", "tap-btf", "sys/kernel/btf/vmlinux", "-", "eth0", levelOK},
		{"an interface that is there", "tap-interface", "", "", "eth0", levelOK},
		{"a pattern", "tap-interface", "", "", "eth[0-8]", levelOK},
		{"an interface that is not there", "tap-interface", "", "", "ens3", levelWarn},
		{"an interface of another kind", "tap-interface", "", "", "ib0", levelWarn},
		{"an interface that is down", "tap-interface", "", "", "eth9", levelWarn},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, f := range well {
				files[name] = f
			}
			if files[tc.file] = (&fstest.MapFile{Data: []byte(tc.text)}); tc.file == "" || tc.text == "-" {
				delete(files, tc.file)
			}
			h := healthyHost()
			h.root = files
			f := find(t, h.checkTapHost("/s", []string{tc.pattern}), tc.check)
			if f.Level != tc.want || (f.Level == levelOK) != (f.Do == "") {
				t.Errorf("%+v, want level %s", f, tc.want)
			}
		})
	}
	h := healthyHost()
	h.root, h.pid = well, func(string) (int, error) { return 0, errors.New("denied") }
	if f := find(t, h.checkTapHost("/s", nil), "tap-capabilities"); f.Level != levelWarn {
		t.Errorf("without a daemon: %+v", f)
	}
}

func TestDoctorAsksTheTap(t *testing.T) {
	for _, tc := range []struct {
		claim, words string
		lost         uint64
		want         level
	}{
		{"a tap that works", "tcx on eth0", 0, levelOK},
		{"a tap that loses", "tcx on eth0", 3, levelWarn},
		{"a tap that is off", "off: no interface matches eth0", 0, levelWarn},
	} {
		s := query.StatusReply{Edges: map[string]string{"tap": tc.words}, Counters: map[string]uint64{"tap_matched": 9, "tap_lost": tc.lost}}
		if f := checkTap(s)[0]; f.Level != tc.want {
			t.Errorf("%s: %+v", tc.claim, f)
		}
	}
	if f := checkTap(query.StatusReply{}); f != nil {
		t.Errorf("a daemon without a tap: %+v", f)
	}
	if f := checkNodes([]query.NodeReply{{Name: "pgw1", Source: "gtpv2", Up: true, Degraded: noon}}); f.Level != levelWarn {
		t.Errorf("a node of which news was missed: %+v", f)
	}
}
