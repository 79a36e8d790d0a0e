package git

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// smart is a remote over smart HTTP, in the newest version both sides speak.
type smart struct {
	http  *httpClient
	limit int64 // of a pack, in bytes

	// What the last advertisement said: speaksV2, or advertised, or neither
	// before the first. HTTP is stateless, so a request of version 2 needs no
	// advertisement before it.
	speaksV2   bool
	advertised *packp.AdvRefs
}

func (s *smart) refs(ctx context.Context, names ...string) (map[string]ref, error) {
	if s.speaksV2 {
		refs, err := s.listV2(ctx, names...)
		if !misunderstood(err) {
			return refs, err
		}
	}
	if err := s.discover(ctx); err != nil {
		return nil, err
	}
	if s.speaksV2 {
		return s.listV2(ctx, names...)
	}
	return advertisedRefs(s.advertised, names...), nil
}

func (s *smart) isEmpty(ctx context.Context) (bool, error) {
	if s.speaksV2 {
		refs, err := s.listV2(ctx, "refs/heads/")
		return len(refs) == 0, err
	}
	return len(s.advertised.References) == 0, nil
}

func (s *smart) fetch(ctx context.Context, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error) {
	if !s.speaksV2 && s.advertised == nil {
		if err := s.discover(ctx); err != nil {
			return nil, err
		}
	}
	if s.speaksV2 {
		return s.fetchV2(ctx, want, haves)
	}
	defer func() { s.advertised = nil }() // refs move on, and can be many
	return s.fetchV1(ctx, want, haves)
}

// misunderstood tells an answer that another version, or another place on the
// same host, may explain.
func misunderstood(err error) bool {
	return hasReason(err, InvalidResponse) || hasReason(err, RepositoryNotFound) || hasReason(err, Redirected)
}

// discover asks what the server speaks. A server without version 2 answers with
// all its refs.
func (s *smart) discover(ctx context.Context) error {
	s.speaksV2, s.advertised = false, nil
	s.http.base = s.http.remote // a redirect that was followed may lead nowhere by now
	res, err := s.http.get(ctx, "/info/refs?service=git-upload-pack", maxRefsBytes)
	if err != nil {
		return err
	}
	defer res.Close()
	answer, err := io.ReadAll(res)
	if err != nil {
		return rebuilt(err, "whole")
	}
	capabilities, ok := parseCapabilities(answer)
	if !ok {
		s.advertised, err = parseAdvertisement(bytes.NewReader(answer))
		return err
	}
	if format, ok := capabilities["object-format"]; ok && format != "sha1" {
		return fail(Unsupported, "the repository's object format %.20q is not supported, only sha1 is", format)
	}
	s.speaksV2 = true
	return nil
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
