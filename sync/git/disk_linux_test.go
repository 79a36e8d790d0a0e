// FAULTS, Agent: disk full.
// Disk full → told, tried again, and all well once there is room.

package git_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/belay-gitops/belay/sync/git"
)

func TestAFullDiskIsToldAndOverOnceThereIsRoom(t *testing.T) {
	dir := smallDisk(t, "512k")
	blocker := filepath.Join(dir, "blocker")
	if err := os.WriteFile(blocker, []byte(noise(400_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSource(t)
	s.commit("big", map[string]string{"big": noise(200_000), "a": "1"})
	opts := serve(t, s).options()
	opts.CacheDir = filepath.Join(dir, "cache")
	r := open(t, opts)
	t.Cleanup(r.Close)

	commit := head(t, r)
	_, err := r.Tree(t.Context(), commit)
	told := wantReason(t, err, git.CacheUnavailable)
	if !told.Temporary || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("temporary %t: %v", told.Temporary, err)
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, r, commit, "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
}

// smallDisk is a directory with room for so much, until the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("belay-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk takes a mount, and that takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}
