package cluster

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// reportEvery is how often a long build says that it is still at it.
const reportEvery = 20 * time.Second

// builder builds programs into the user's cache, where a later build of the same sources finds them.
type builder struct {
	source string // this module's folder
	cache  string
	report func(string)
}

func newBuilder(source string, report func(string)) (builder, error) {
	source, err := findSource(source)
	if err != nil {
		return builder{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return builder{}, fmt.Errorf("finding cache: %w", err)
	}
	return builder{source: source, cache: filepath.Join(cache, "belay", "cluster"), report: report}, nil
}

// prepare builds what a cluster of o needs and returns each program's path by its name.
func prepare(ctx context.Context, o Options) (map[string]string, error) {
	b, err := newBuilder(o.Source, o.Report)
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, p := range programsFor(o.Node) {
		dir, err := b.build(ctx, p)
		if err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("reading programs: %w", err)
		}
		for _, e := range entries {
			paths[e.Name()] = filepath.Join(dir, e.Name())
		}
	}
	return paths, nil
}

// findSource returns the module's folder as an absolute path. Unless it is named, it is where the compiler
// found this file, which a binary built with -trimpath does not know.
func findSource(named string) (string, error) {
	source := named
	if source == "" {
		_, file, _, _ := runtime.Caller(0)
		source = filepath.Dir(file)
	}
	if _, err := os.Stat(filepath.Join(source, "programs")); err != nil {
		return "", fmt.Errorf("finding the module's source, named by --source: %w", err)
	}
	return filepath.Abs(source)
}

// build returns the folder with p's binaries, after building them if they are not in the cache. Of several
// that build the same one does, and the others wait.
func (b builder) build(ctx context.Context, p program) (string, error) {
	key, err := b.key(ctx, p)
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p.name, err)
	}
	dir := filepath.Join(b.cache, p.name+"-"+key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", fmt.Errorf("building %s: %w", p.name, err)
	}
	unlock, err := lock(ctx, filepath.Join(b.cache, p.name+".lock"))
	if err != nil {
		return "", fmt.Errorf("building %s: %w", p.name, err)
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // by the one that held the lock
	}
	if err := b.buildInto(ctx, p, dir); err != nil {
		return "", fmt.Errorf("building %s: %w", p.name, err)
	}
	return dir, nil
}

// buildInto builds beside dir and renames, so that dir is there only when it is whole.
func (b builder) buildInto(ctx context.Context, p program, dir string) error {
	fresh, err := os.MkdirTemp(b.cache, "."+p.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	defer every(reportEvery, func(elapsed time.Duration) {
		b.report(fmt.Sprintf("building %s … %s", p.about, elapsed.Round(time.Second)))
	})()

	args := []string{"build", "-trimpath", "-ldflags", "-s -w" + p.flags, "-o", fresh + string(filepath.Separator)}
	cmd := exec.CommandContext(ctx, "go", append(args, p.packages...)...)
	cmd.Dir = filepath.Join(b.source, "programs", p.name)
	// Static, so that no C compiler is needed and the small ones run on an empty base image.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off")
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := link(p, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// link adds the names by which the program kubernetes is called.
func link(p program, dir string) error {
	if p.name != kubernetes.name {
		return nil
	}
	for _, name := range components {
		if err := os.Symlink(p.name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// key is a hash of all that the binaries are made from: the folder's files, which pin the modules, the
// toolchain and the flags.
func (b builder) key(ctx context.Context, p program) (string, error) {
	dir := filepath.Join(b.source, "programs", p.name)
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = dir // whose go.mod may choose the toolchain
	toolchain, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%s%s%s\n", toolchain, p.packages, p.flags)
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, filepath.Base(path))
		_, err = io.Copy(hash, file)
		file.Close()
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:6]), nil
}

// lock waits until this process alone holds the file. The kernel lets go of it if the process dies.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// every calls f at once and then again and again, with the time since the first call, until the function that
// it returns is called.
func every(interval time.Duration, f func(elapsed time.Duration)) (stop func()) {
	begin, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	f(0)
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				f(time.Since(begin))
			}
		}
	}()
	return func() { close(done); <-ended }
}
