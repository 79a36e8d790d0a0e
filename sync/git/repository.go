package git

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A Repository is a remote, a ref of it to follow, and what was fetched from it.
// Any number of goroutines may use it: they read one after the other, and what
// several of them miss is fetched once.
type Repository struct {
	url    *url.URL
	ref    Ref
	remote remote
	limits Limits
	shelf  *shelf

	mu       sync.Mutex
	fetches  map[plumbing.Hash]*flight // under way
	fetching chan struct{}             // held while something is fetched, or made anew

	snapshots snapshots
}

// A flight is a fetch that others wait for. Its error is theirs, too.
type flight struct {
	done chan struct{}
	err  error
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
	r := &Repository{
		url: u, ref: opts.Ref, limits: limits,
		shelf:   &shelf{dir: opts.CacheDir, url: u.String(), limits: limits},
		fetches: map[plumbing.Hash]*flight{}, fetching: make(chan struct{}, 1),
	}
	if u.Scheme == "file" {
		r.remote = &local{path: u.Path, limit: limits.PackBytes}
	} else {
		r.remote = &smart{http: newHTTPClient(u, opts), limit: limits.PackBytes}
	}
	return r, nil
}

// Authenticate changes the credentials, from the next request on.
func (r *Repository) Authenticate(auth Auth) error {
	if err := auth.check(); err != nil {
		return err
	}
	if remote, ok := r.remote.(*smart); ok {
		remote.http.auth.Store(&auth)
	}
	return nil
}

// Close gives open files back. The Repository may be used on.
func (r *Repository) Close() { r.shelf.put(nil) }

// Head returns the commit that the ref points at now. It asks the remote for
// that ref only, in one small request once the first has told that the server
// speaks version 2. A Ref.Commit is returned without asking.
func (r *Repository) Head(ctx context.Context) (commit string, err error) {
	if r.ref.Commit != "" {
		return r.ref.Commit, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.limits.Timeout)
	defer cancel()
	err = calmly(func() (err error) {
		commit, err = r.resolve(ctx)
		return err
	})
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
	commit, _, err := r.ensure(ctx, hash)
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
	return r.Record(ctx, hash, nil)
}

// Record is Tree, and notes in reads what is read of it.
func (r *Repository) Record(ctx context.Context, hash string, reads *Reads) (fs.FS, error) {
	snapshot, err := r.snapshot(ctx, hash)
	if err != nil {
		return nil, during("read commit "+shown(hash)+" of", r.url, err)
	}
	return newTree(snapshot, reads), nil
}

// Unchanged tells whether all that was read is the same in another commit, which
// is fetched if it is not here yet. Reads of nothing are not.
func (r *Repository) Unchanged(ctx context.Context, reads *Reads, hash string) (bool, error) {
	snapshot, err := r.snapshot(ctx, hash)
	if err != nil {
		return false, during("read commit "+shown(hash)+" of", r.url, err)
	}
	same, err := reads.unchanged(snapshot)
	return same, during("compare commit "+shown(hash)+" of", r.url, err)
}

// snapshot is a commit's tree, for all that read it.
func (r *Repository) snapshot(ctx context.Context, hash string) (*snapshot, error) {
	if known := r.snapshots.known(hash, r.shelf); known != nil {
		return known, nil
	}
	commit, made, err := r.ensure(ctx, hash)
	if err != nil {
		return nil, err
	}
	return r.snapshots.of(commit.Hash, newSnapshot(r.shelf, made, r.url, commit.TreeHash)), nil
}

// ensure returns a commit that is here whole, and when the store was made that
// has it.
func (r *Repository) ensure(ctx context.Context, commit string) (*object.Commit, int, error) {
	hash, err := parseHash(commit)
	if err != nil {
		return nil, 0, err
	}
	found, made, _, err := r.shelf.find(hash)
	if found != nil || err != nil && !hasReason(err, Corrupt) {
		return found, made, err
	}
	if err := r.fetched(ctx, hash); err != nil {
		return nil, 0, err
	}
	found, made, _, err = r.shelf.find(hash)
	if err == nil && found == nil {
		err = retry(Corrupt, "commit %s is not here any more: all was fetched anew", hash)
	}
	return found, made, err
}

// fetched sees to it that a commit is here. Of those that miss it one fetches it,
// and the others wait for what comes of that.
func (r *Repository) fetched(ctx context.Context, hash plumbing.Hash) error {
	for {
		r.mu.Lock()
		under := r.fetches[hash]
		if under == nil {
			under = &flight{done: make(chan struct{})}
			r.fetches[hash] = under
			r.mu.Unlock()
			under.err = calmly(func() error { return r.obtain(ctx, hash) })
			r.mu.Lock()
			delete(r.fetches, hash)
			r.mu.Unlock()
			close(under.done)
			return under.err
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return interrupted(ctx.Err())
		case <-under.done:
		}
		if under.err == nil || !errors.Is(under.err, context.Canceled) && !errors.Is(under.err, context.DeadlineExceeded) {
			return under.err
		}
		// It was the other's time that was over.
	}
}

// obtain fetches a commit if it is not here. A store found damaged is discarded
// and fetched anew, once.
func (r *Repository) obtain(ctx context.Context, hash plumbing.Hash) error {
	select {
	case r.fetching <- struct{}{}:
		defer func() { <-r.fetching }()
	case <-ctx.Done():
		return interrupted(ctx.Err())
	}
	found, _, crowded, err := r.shelf.find(hash)
	if err == nil && found == nil && !crowded {
		err = r.fetch(ctx, hash)
	}
	if !crowded && !hasReason(err, Corrupt) {
		return err
	}
	if err := r.shelf.discard(); err != nil {
		return err
	}
	return r.fetch(ctx, hash)
}

// calmly makes an error of a panic: what a server sends must not end a process
// that has other servers, nor leave those waiting that share the answer.
func calmly(do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = retry(InvalidResponse, "what the server sent cannot be read")
		}
	}()
	return do()
}

// shown keeps a hash that is none out of messages.
func shown(hash string) string {
	if fullHash.MatchString(hash) {
		return hash
	}
	return "?"
}
