package git

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// smart is a remote over smart HTTP, in the newest version both sides speak.
type smart struct {
	http  *httpClient
	limit int64 // of a pack, in bytes

	mu   sync.Mutex
	last advertisement
}

// An advertisement is what a server says of itself: speaksV2, or its refs, or
// neither before the first. HTTP is stateless, so a request of version 2 needs
// no advertisement before it.
type advertisement struct {
	speaksV2 bool
	refs     *packp.AdvRefs
}

func (s *smart) known() advertisement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *smart) know(a advertisement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = a
}

// refs reads no more than the first of names, if there is that.
func (s *smart) refs(ctx context.Context, names ...string) (map[string]ref, error) {
	first := func(name string) bool { return name == names[0] }
	if s.known().speaksV2 {
		refs, err := s.listV2(ctx, names, first)
		if !misunderstood(err) {
			return refs, err
		}
	}
	said, err := s.discover(ctx)
	if err != nil {
		return nil, err
	}
	if said.speaksV2 {
		return s.listV2(ctx, names, first)
	}
	return advertisedRefs(said.refs, names...), nil
}

func (s *smart) isEmpty(ctx context.Context) (bool, error) {
	said := s.known()
	if said.speaksV2 {
		refs, err := s.listV2(ctx, []string{"refs/heads/"}, func(string) bool { return true })
		return len(refs) == 0, err
	}
	if said.refs == nil { // a fetch has just used them up
		var err error
		if said, err = s.discover(ctx); err != nil {
			return false, err
		}
		if said.speaksV2 {
			return s.isEmpty(ctx)
		}
	}
	return len(said.refs.References) == 0, nil
}

func (s *smart) fetch(ctx context.Context, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error) {
	said := s.known()
	if said == (advertisement{}) {
		var err error
		if said, err = s.discover(ctx); err != nil {
			return nil, err
		}
	}
	if said.speaksV2 {
		return s.fetchV2(ctx, want, haves)
	}
	defer s.know(advertisement{}) // refs move on, and can be many
	return s.fetchV1(ctx, said.refs, want, haves)
}

// misunderstood tells an answer that another version, or another place on the
// same host, may explain.
func misunderstood(err error) bool {
	return hasReason(err, InvalidResponse) || hasReason(err, RepositoryNotFound) || hasReason(err, Redirected)
}

// discover asks what the server speaks. A server without version 2 answers with
// all its refs.
func (s *smart) discover(ctx context.Context) (advertisement, error) {
	s.know(advertisement{})
	s.http.base.Store(s.http.remote) // a redirect that was followed may lead nowhere by now
	res, err := s.http.get(ctx, "/info/refs?service=git-upload-pack", maxRefsBytes)
	if err != nil {
		return advertisement{}, err
	}
	defer res.Close()
	answer, err := io.ReadAll(res)
	if err != nil {
		return advertisement{}, rebuilt(err, "whole")
	}
	var said advertisement
	capabilities, ok := parseCapabilities(answer)
	if format, named := capabilities["object-format"]; named && format != "sha1" {
		return advertisement{}, fail(Unsupported, "the repository's object format %.20q is not supported, only sha1 is", format)
	}
	if said.speaksV2 = ok; !ok {
		if said.refs, err = parseAdvertisement(bytes.NewReader(answer)); err != nil {
			return advertisement{}, err
		}
	}
	s.know(said)
	return said, nil
}

// parseCapabilities reads a version 2 advertisement:
// https://git-scm.com/docs/protocol-v2#_capability_advertisement
func parseCapabilities(answer []byte) (capabilities map[string]string, ok bool) {
	lines := pktline.NewScanner(bytes.NewReader(answer))
	for lines.Scan() {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		switch {
		case capabilities != nil:
			key, value, _ := strings.Cut(line, "=")
			capabilities[key] = value
		case line == "version 2":
			capabilities = map[string]string{}
		case line != "" && !strings.HasPrefix(line, "# service="):
			return nil, false
		}
	}
	return capabilities, capabilities != nil && lines.Err() == nil
}
