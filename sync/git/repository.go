package git

import (
	"context"
	"io/fs"
	"net/url"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A Repository is a remote, a ref of it to follow, and what was fetched from it.
// It is for one goroutine at a time; any number of them can be used side by
// side, each with its own connections, credentials and CacheDir.
type Repository struct {
	url      *url.URL
	ref      Ref
	remote   remote
	cacheDir string
	limits   Limits
	store    *store // nil until it is needed
}

// Open checks the options. It asks neither the network nor the disk.
func Open(opts Options) (*Repository, error) {
	u, err := parseURL(opts.URL, opts.AllowHTTP)
	if err != nil {
		return nil, err
	}
	if err := opts.Ref.check(); err != nil {
		return nil, err
	}
	if err := opts.Auth.check(); err != nil {
		return nil, err
	}
	limits := opts.Limits.withDefaults()
	r := &Repository{url: u, ref: opts.Ref, cacheDir: opts.CacheDir, limits: limits}
	if u.Scheme == "file" {
		r.remote = &local{path: u.Path, limit: limits.PackBytes}
	} else {
		r.remote = &smart{http: newHTTPClient(u, opts), limit: limits.PackBytes}
	}
	return r, nil
}

// Head returns the commit that the ref points at now. It asks the remote for
// that ref only, in one small request once the first has told that the server
// speaks version 2. A Ref.Commit is returned without asking.
func (r *Repository) Head(ctx context.Context) (commit string, err error) {
	if r.ref.Commit != "" {
		return r.ref.Commit, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.limits.Timeout)
	defer cancel()
	commit, err = r.resolve(ctx)
	return commit, during("resolve "+r.ref.String()+" of", r.url, err)
}

// resolve asks for HEAD along with the ref: where both are missing, the
// repository may be an empty one.
func (r *Repository) resolve(ctx context.Context) (string, error) {
	refs, err := r.remote.refs(ctx, r.ref.fullName(), "HEAD")
	if err != nil {
		return "", err
	}
	if found, ok := refs[r.ref.fullName()]; ok {
		return found.commit().String(), nil
	}
	if _, ok := refs["HEAD"]; !ok {
		empty, err := r.remote.isEmpty(ctx)
		if err != nil {
			return "", err
		}
		if empty {
			return "", retry(EmptyRepository, "the repository has no commit yet")
		}
	}
	if r.ref == (Ref{}) {
		return "", retry(RefNotFound, "the remote's HEAD points at a branch that does not exist; name a branch")
	}
	return "", retry(RefNotFound, "the remote has no %s %q", r.ref.kind(), r.ref.Branch+r.ref.Tag)
}

// Commit describes a commit, which is fetched if it is not here yet.
func (r *Repository) Commit(ctx context.Context, hash string) (Commit, error) {
	commit, err := r.ensure(ctx, hash)
	if err != nil {
		return Commit{}, during("read commit "+shown(hash)+" of", r.url, err)
	}
	return describe(commit), nil
}

// Tree returns a commit's tree, which is fetched if it is not here yet. The tree
// is read from Git's objects as it is asked for, by one goroutine at a time. It
// implements [fs.ReadDirFS], [fs.ReadFileFS], [fs.StatFS] and [fs.ReadLinkFS].
//
// Symbolic links are followed inside the tree. What cannot be handed out as it
// is in Git (a submodule, a Git LFS pointer, a link that leaves the tree, a
// large file) is listed, and fails with an [Error] when it is opened; a directory
// with a hostile name in it fails as a whole. Objects found missing or damaged
// fail as [Corrupt], and the next Commit or Tree fetches everything anew.
func (r *Repository) Tree(ctx context.Context, hash string) (fs.FS, error) {
	commit, err := r.ensure(ctx, hash)
	if err != nil {
		return nil, during("read commit "+shown(hash)+" of", r.url, err)
	}
	return newTree(r.store, r.url, commit.TreeHash), nil
}

// ensure returns a commit that is here whole. A store found damaged is discarded
// and fetched anew, once.
func (r *Repository) ensure(ctx context.Context, commit string) (*object.Commit, error) {
	hash, err := parseHash(commit)
	if err != nil {
		return nil, err
	}
	if r.store != nil && r.store.damaged {
		return r.anew(ctx, hash)
	}
	found, err := r.obtain(ctx, hash)
	if hasReason(err, Corrupt) {
		return r.anew(ctx, hash)
	}
	return found, err
}

func (r *Repository) anew(ctx context.Context, hash plumbing.Hash) (*object.Commit, error) {
	r.store = nil
	if err := discardStore(r.cacheDir); err != nil {
		return nil, err
	}
	return r.obtain(ctx, hash)
}

// obtain reads a commit from the store, and fetches it first if it is not there.
func (r *Repository) obtain(ctx context.Context, hash plumbing.Hash) (*object.Commit, error) {
	if r.store == nil {
		s, err := openStore(r.cacheDir, r.url.String(), r.limits)
		if err != nil {
			return nil, err
		}
		r.store = s
	}
	if !r.store.has(hash) {
		if r.store.crowded() {
			return r.anew(ctx, hash)
		}
		if err := r.fetch(ctx, hash); err != nil {
			return nil, err
		}
	}
	return r.store.commit(hash)
}

// shown keeps a hash that is none out of messages.
func shown(hash string) string {
	if fullHash.MatchString(hash) {
		return hash
	}
	return "?"
}
