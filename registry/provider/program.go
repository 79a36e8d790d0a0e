package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	config "k8s.io/kubelet/config/v1"
	api "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/belay-gitops/belay/registry"
)

// program is one that is configured, and what it has said.
type program struct {
	name    string
	path    string
	args    []string
	env     []string // NAME=value, beside the agent's own
	match   []func(image string) bool
	keep    time.Duration // what is kept for as long as the program does not say otherwise
	timeout time.Duration
	grace   time.Duration // for children that outlive it and hold its output
	now     func() time.Time

	mu    sync.Mutex
	kept  map[string]kept        // by [keyOf]
	runs  map[string]*run        // under way, by [keyOf]
	keyed api.PluginCacheKeyType // what the program said last
}

// kept is an answer that still holds.
type kept struct {
	auth  map[string]api.AuthConfig
	until time.Time
}

// run is one of the program for one image, that others wait for as well.
type run struct {
	image  string
	done   chan struct{} // closed when answer and err are there
	answer api.CredentialProviderResponse
	err    error
}

func newProgram(c config.CredentialProvider, binDir string) (*program, error) {
	binDir, err := filepath.Abs(binDir)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath(filepath.Join(binDir, c.Name))
	if err != nil {
		return nil, fmt.Errorf("provider %q: there must be an executable file %s", c.Name, filepath.Join(binDir, c.Name))
	}
	p := &program{
		name:    c.Name,
		path:    path,
		args:    c.Args,
		keep:    c.DefaultCacheDuration.Duration,
		timeout: time.Minute,
		grace:   5 * time.Second,
		now:     time.Now,
		kept:    make(map[string]kept),
		runs:    make(map[string]*run),
		keyed:   api.RegistryPluginCacheKeyType, // until the program has said what it is
	}
	for _, variable := range c.Env {
		p.env = append(p.env, variable.Name+"="+variable.Value)
	}
	for _, pattern := range c.MatchImages {
		matches, err := registry.Matcher(pattern)
		if err != nil {
			return nil, fmt.Errorf("provider %q: matchImages: %w", c.Name, err)
		}
		p.match = append(p.match, matches)
	}
	return p, nil
}

func (p *program) matches(image string) bool {
	for _, matches := range p.match {
		if matches(image) {
			return true
		}
	}
	return false
}

// credentials returns what the program says for an image, or has said while that holds. Who comes while it runs waits for
// its answer, and runs it only if that was for others.
func (p *program) credentials(ctx context.Context, image string) (map[string]api.AuthConfig, error) {
	for {
		p.mu.Lock()
		if auth, ok := p.lookup(image); ok {
			p.mu.Unlock()
			return auth, nil
		}
		key := keyOf(p.keyed, image)
		r, underway := p.runs[key]
		if !underway {
			r = &run{image: image, done: make(chan struct{}), err: errLeft}
			p.runs[key] = r
		}
		p.mu.Unlock()

		if !underway {
			p.lead(ctx, key, r)
			return r.answer.Auth, r.err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-r.done:
		}
		if r.concerns(image) {
			return r.answer.Auth, r.err
		}
	}
}

// lead runs the program on behalf of all who wait for r.
func (p *program) lead(ctx context.Context, key string, r *run) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.runs, key)
		close(r.done)
	}()
	r.answer, r.err = p.run(ctx, r.image)
	if ctx.Err() != nil {
		r.err = errLeft
	}
	if r.err == nil {
		p.store(r.image, r.answer)
	}
}

// concerns tells whether the outcome is that of another image, too. A program that hangs is not waited for again by each
// of those who have waited; a failure may be due to the one image.
func (r *run) concerns(image string) bool {
	switch {
	case r.err == nil:
		return keyOf(r.answer.CacheKeyType, r.image) == keyOf(r.answer.CacheKeyType, image)
	case errors.Is(r.err, errLeft):
		return false
	}
	return r.image == image || errors.Is(r.err, errTimeout)
}

// keyOf is what an answer with that type of key is kept under. An image is never called <global>.
func keyOf(keyed api.PluginCacheKeyType, image string) string {
	switch keyed {
	case api.GlobalPluginCacheKeyType:
		return "<global>"
	case api.RegistryPluginCacheKeyType:
		host, _, _ := strings.Cut(image, "/")
		return host
	}
	return image
}

// lookup finds an answer that holds, the most particular one first. The caller holds mu.
func (p *program) lookup(image string) (map[string]api.AuthConfig, bool) {
	for _, keyed := range []api.PluginCacheKeyType{api.ImagePluginCacheKeyType, api.RegistryPluginCacheKeyType, api.GlobalPluginCacheKeyType} {
		if answer, ok := p.kept[keyOf(keyed, image)]; ok && p.now().Before(answer.until) {
			return answer.auth, true
		}
	}
	return nil, false
}

// store keeps an answer for as long as it says, and drops those that hold no longer.
func (p *program) store(image string, answer api.CredentialProviderResponse) {
	keep := p.keep
	if answer.CacheDuration != nil {
		keep = answer.CacheDuration.Duration
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keyed = answer.CacheKeyType
	now := p.now()
	maps.DeleteFunc(p.kept, func(_ string, k kept) bool { return !now.Before(k.until) })
	if keep > 0 {
		p.kept[keyOf(answer.CacheKeyType, image)] = kept{answer.Auth, now.Add(keep)}
	}
}
