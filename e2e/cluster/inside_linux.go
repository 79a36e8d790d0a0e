package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// hidden are the folders in which containers' programs keep state under names that cannot be chosen, or where
// they would meet those of this machine. The cluster has empty ones in memory in their place.
var hidden = []string{"/run", "/var/log", "/var/lib"}

// Inside is the half of a cluster with a real node that is in namespaces. It is the first process there, reads
// its order from in and then waits for the end of in, which also comes when the other half is killed.
func Inside(ctx context.Context, in io.Reader, out io.Writer) error {
	if os.Getpid() != 1 {
		return errors.New("running in namespaces: this command is for start alone")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoder := json.NewDecoder(in)
	var o order
	if err := decoder.Decode(&o); err != nil {
		return fmt.Errorf("reading order: %w", err)
	}
	go func() {
		io.Copy(io.Discard, in) //nolint:errcheck // an unreadable input has ended, too
		cancel()
	}()
	messages := json.NewEncoder(out)
	err := o.run(ctx, messages)
	if err != nil && ctx.Err() == nil {
		messages.Encode(message{Error: err.Error()}) //nolint:errcheck // the other half is gone
		<-ctx.Done()                                 // the folder stays until the other half has read the logs
	}
	return errors.Join(err, o.clean())
}

// run runs the cluster until ctx is done or a part of it dies.
func (o order) run(ctx context.Context, messages *json.Encoder) error {
	if err := hideMounts(); err != nil {
		return err
	}
	if err := o.Network.join(ctx); err != nil {
		return err
	}
	if err := makeCgroup(o.Name); err != nil {
		return err
	}
	s := site{
		dir:      o.Dir,
		host:     o.Network.inner().String(),
		services: o.Network.services().String(),
		pods:     o.Network.pods().String(),
		cgroup:   "/" + o.Name,
		nodes:    1,
		programs: o.Programs,
		report:   func(line string) { messages.Encode(message{Report: line}) }, //nolint:errcheck // as above
	}
	c, err := start(ctx, s, Real, startNode)
	if err != nil {
		return err
	}
	defer c.stop() //nolint:errcheck // it has none
	if err := messages.Encode(message{Info: &c.Info}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-c.died:
		return err
	}
}

// clean ends what the cluster's programs left running, such as containers, and removes what would outlast the
// namespaces.
func (o order) clean() error {
	// To the first process of a process namespace, -1 is the rest of that namespace.
	syscall.Kill(-1, syscall.SIGKILL) //nolint:errcheck // there may be none
	for {
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && err != syscall.EINTR {
			break
		}
	}
	err := removeCgroup(o.Name)
	if !o.Temporary {
		return err
	}
	// Not before all mounts below are gone, since some show folders of this machine.
	if e := unmountBelow(o.Dir); e != nil {
		return errors.Join(err, e)
	}
	return errors.Join(err, os.RemoveAll(o.Dir))
}

// hideMounts cuts the mounts made here off from those outside, in both directions, and hides what is not to be
// shared.
func hideMounts() error {
	type mount struct {
		target, kind string
		flags        uintptr
	}
	mounts := []mount{
		{"/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"/", "", syscall.MS_REC | syscall.MS_SHARED}, // among the namespaces in here, as kubelet wants it
		{"/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC},
	}
	for _, dir := range hidden {
		mounts = append(mounts, mount{dir, "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV})
	}
	for _, m := range mounts {
		if err := syscall.Mount(m.kind, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	return nil
}

// unmountBelow detaches all mounts below a folder.
func unmountBelow(dir string) error {
	for _, target := range slices.Backward(mountsBelow(dir)) {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", target, err)
		}
	}
	if left := mountsBelow(dir); len(left) > 0 {
		return fmt.Errorf("unmounting %s: still mounted", strings.Join(left, " "))
	}
	return nil
}

// mountsBelow lists mount points in the order in which they were mounted.
func mountsBelow(dir string) []string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return []string{dir} // which cannot be unmounted, and so is not removed
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var below []string
	for line := range strings.Lines(string(mounts)) {
		target := unescape.Replace(strings.Fields(line)[1])
		if strings.HasPrefix(target, dir+"/") {
			below = append(below, target)
		}
	}
	return below
}
