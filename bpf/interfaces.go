package bpf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// rescanEvery is how often the interfaces are looked at when nothing announces
// that they changed.
const rescanEvery = 5 * time.Second

// maxKnown bounds the names of former interfaces that are remembered.
const maxKnown = 4096

// followInterfaces hooks into interfaces that appear and lets go of those that
// disappear, until ctx ends.
func (t *Tap) followInterfaces(ctx context.Context) error {
	announced := make(chan struct{}, 1)
	if changes, err := listenForLinks(); err == nil {
		defer changes.Close()
		go func() {
			buffer := make([]byte, 1<<16)
			for {
				// ENOBUFS means that announcements were lost: one more reason to look.
				if _, err := changes.Read(buffer); err != nil && !errors.Is(err, unix.ENOBUFS) {
					return
				}
				select {
				case announced <- struct{}{}:
				default:
				}
			}
		}()
	} else {
		t.log.Debug("interfaces are only looked for now and then", "err", err, "every", rescanEvery)
	}
	tick := time.NewTicker(rescanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-announced:
		}
		t.rescan()
	}
}

// listenForLinks opens a socket on which the kernel announces changes of
// interfaces (rtnetlink(7)). Reading it blocks; Close ends that.
func listenForLinks() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}

// rescan compares the interfaces that are there with those that are hooked.
func (t *Tap) rescan() {
	list, err := net.Interfaces()
	if err != nil {
		t.log.Warn("the interfaces cannot be listed", "err", err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	present := map[int]string{}
	for _, i := range list {
		if t.cfg.matches(i.Name) {
			present[i.Index] = i.Name
		}
	}
	for index, h := range t.hooks {
		if present[index] != h.name {
			h.close()
			delete(t.hooks, index)
			t.changed.Store(true)
			t.log.Warn("an interface is gone", "interface", h.name)
		}
	}
	maps.DeleteFunc(t.refused, func(index int, _ string) bool { _, there := present[index]; return !there })
	for index, name := range present {
		if t.hooks[index] == nil {
			t.hook(name, index)
		}
	}
}

// hook attaches to one interface. One that cannot be tapped is tried again at
// each look, and said once.
func (t *Tap) hook(name string, index int) {
	h, err := t.kernel.hookTo(name, index, t.cfg.Promiscuous)
	if err != nil {
		why := fmt.Sprintf("interface %s is not watched: %s", name, explain(err))
		if t.refused[index] != why {
			t.refused[index] = why
			t.log.Warn("an interface cannot be watched", "interface", name, "err", explain(err))
		}
		return
	}
	if t.known[name] || len(t.hooks) == 0 || len(t.known) >= maxKnown {
		t.changed.Store(true) // what passed meanwhile is unknown
	}
	t.hooks[index], t.known[name] = h, true
	delete(t.refused, index)
	t.log.Info("watching an interface", "interface", name, "mode", t.kernel.mode, "promiscuous", t.cfg.Promiscuous)
}

func (t *Tap) unhookAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for index, h := range t.hooks {
		h.close()
		delete(t.hooks, index)
	}
	t.countsLocked()
	t.kernel = nil
}

// hooked are the names of the watched interfaces, sorted; mu is held.
func (t *Tap) hooked() []string {
	names := []string{}
	for _, h := range t.hooks {
		names = append(names, h.name)
	}
	slices.Sort(names)
	return names
}

// explain adds what to do to an error that an operator can repair.
func explain(err error) string {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return err.Error() + "; give simbindd CAP_BPF and CAP_NET_ADMIN, and CAP_NET_RAW for promiscuous interfaces or a kernel before 6.6 (simbind doctor tells more)"
	case errors.Is(err, errLinkType):
		return err.Error() + "; only Ethernet and bare IP are: name another interface"
	}
	return err.Error()
}
