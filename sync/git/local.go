package git

import (
	"context"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/file"
)

// local is a remote on this machine's disk. go-git runs git-upload-pack for it,
// which must be installed: file URLs are for tests and development.
type local struct {
	path  string
	limit int64 // of a pack, in bytes
}

func (l *local) refs(ctx context.Context, names ...string) (map[string]ref, error) {
	session, advertised, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return advertisedRefs(advertised, names...), nil
}

func (l *local) isEmpty(ctx context.Context) (bool, error) {
	session, advertised, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	defer session.Close()
	return len(advertised.References) == 0, nil
}

func (l *local) fetch(ctx context.Context, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	session, advertised, err := l.open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	req, err := uploadRequest(advertised, want, haves)
	if err != nil {
		cancel()
		session.Close()
		return nil, err
	}
	res, err := session.UploadPack(ctx, req)
	if err != nil {
		cancel()
		session.Close()
		return nil, refusedFetch(err, want)
	}
	conversation := &conversation{ReadCloser: res, cancel: cancel}
	return demultiplexed(req, &body{ReadCloser: conversation, left: l.limit, limit: l.limit}), nil
}

// A conversation ends git-upload-pack when it is closed before its end. go-git
// waits for the process, which waits for somebody to read what it writes; a
// read after cancel makes go-git kill it.
type conversation struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *conversation) Close() error {
	c.cancel()
	_, _ = io.Copy(io.Discard, c.ReadCloser)
	return c.ReadCloser.Close()
}

// open starts a conversation, which holds one exchange.
func (l *local) open(ctx context.Context) (transport.UploadPackSession, *packp.AdvRefs, error) {
	session, err := file.DefaultClient.NewUploadPackSession(&transport.Endpoint{Protocol: "file", Path: l.path}, nil)
	if err != nil {
		return nil, nil, retry(RemoteUnavailable, "git-upload-pack cannot be run; file URLs need git installed")
	}
	advertised, err := session.AdvertisedReferencesContext(ctx)
	switch {
	case err == nil:
		return session, advertised, nil
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return session, packp.NewAdvRefs(), nil
	}
	session.Close()
	if errors.Is(err, transport.ErrRepositoryNotFound) {
		return nil, nil, retry(RepositoryNotFound, "no such repository")
	}
	return nil, nil, rebuilt(err, "a list of refs")
}
