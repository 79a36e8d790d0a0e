package render

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// Process builds in a child process, which a hostile tree can kill without harm to this one. The child has no
// environment and reads the tree through its pipe. A Process is a value that may be used concurrently; each build then
// has a child, and the memory, of its own. A [Pool] has one child do many builds.
type Process struct {
	Command []string      // a program and its arguments, that calls [Serve] with its stdin and stdout
	Memory  int64         // bytes that the child may use; 512 MiB if zero, and under 128 MiB little can be built
	Timeout time.Duration // after which it is killed; 30 s if zero
	Limits  Limits
}

func (p Process) orDefault() Process {
	p.Memory = cmp.Or(p.Memory, 512<<20)
	p.Timeout = cmp.Or(p.Timeout, 30*time.Second)
	return p
}

// Build is like the function [Build]. Errors that are not an [*Error] are the context's, or say that the child cannot
// be started.
func (p Process) Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error) {
	p = p.orDefault()
	c, err := p.start()
	if err != nil {
		return manifests.Set{}, fmt.Errorf("starting the renderer: %w", err)
	}
	defer c.end()
	set, _, err := p.buildIn(ctx, c, newHost(tree), dir)
	return set, err
}

// buildIn has the child do one build. Where the child did not come to a result, which may be the child's fault, died says
// so, and it has ended.
func (p Process) buildIn(ctx context.Context, c *child, h *host, dir string) (set manifests.Set, died bool, err error) {
	limited, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	stop := context.AfterFunc(limited, c.kill)
	wrong, broken := c.do(h, job{Dir: dir, Limits: p.Limits, Memory: p.Memory})
	if !stop() || broken != nil {
		c.end() // it is killed, or does not go on
	}
	switch {
	case ctx.Err() != nil:
		return manifests.Set{}, false, fmt.Errorf("rendering %s: %w", dir, ctx.Err())
	case broken != nil && limited.Err() != nil:
		return manifests.Set{}, false, fail(TimedOut, dir, "rendering took more than %s", p.Timeout)
	case broken != nil:
		return manifests.Set{}, true, c.died(dir, p.Memory)
	case wrong != nil:
		return manifests.Set{}, false, wrong
	}
	set, err = manifests.NewSet(h.made.objects...)
	return set, false, err
}
