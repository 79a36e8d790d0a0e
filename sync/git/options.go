package git

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
)

// Options says which repository to read, and how.
type Options struct {
	// URL is https://…, or http://… and file://… where AllowHTTP is set. It
	// holds no user, password or query: those would end up in logs.
	URL       string
	Ref       Ref
	Auth      Auth
	AllowHTTP bool

	// CacheDir is a directory of this Repository's own that keeps what was
	// fetched over restarts. It is made, and its content re-made where it is
	// damaged or another URL's. "" keeps the objects in memory, uncompressed.
	CacheDir string

	Limits    Limits
	UserAgent string // "" means "belay"

	// Transport makes the HTTP requests: for a private CA, or a test. nil
	// means one that all Repositories share, with the environment's proxy. A
	// Transport must not follow redirects itself.
	Transport http.RoundTripper
}

// Ref is what to follow; at most one field is set. None means the remote's HEAD.
type Ref struct {
	Branch string // "main", without refs/heads/
	Tag    string // "v1.2.0", without refs/tags/; an annotated one is peeled
	Commit string // all 40 hex digits
}

// Auth is sent with each request to the URL's own host, and nowhere else.
// BearerToken, or Username and Password (where most hosts want a token too).
type Auth struct {
	Username, Password string
	BearerToken        string
}

// Limits caps what a remote can make us do. 0 means the default.
type Limits struct {
	PackBytes   int64         // of one fetch, compressed: 512 MiB
	ObjectBytes int64         // of any one object in the history, which go-git holds in memory: 128 MiB
	BlobBytes   int64         // of one file that is read: 4 MiB
	TreeEntries int           // that are read in one tree, all directories together: 100,000
	Timeout     time.Duration // of an answer, and in which a transfer has to bring a MiB: 60 s
}

func (l Limits) withDefaults() Limits {
	return Limits{
		PackBytes:   cmp.Or(l.PackBytes, 512<<20),
		ObjectBytes: cmp.Or(l.ObjectBytes, 128<<20),
		BlobBytes:   cmp.Or(l.BlobBytes, 4<<20),
		TreeEntries: cmp.Or(l.TreeEntries, 100_000),
		Timeout:     cmp.Or(l.Timeout, time.Minute),
	}
}

// parseURL returns the URL with nothing but scheme, host and path. Its errors
// show the URL only once it is known to hold no secret.
func parseURL(raw string, allowHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme == "" || u.Opaque != "":
		return nil, fail(InvalidURL, "the URL cannot be parsed (not shown: it may hold a password); it should look like https://host/path")
	case u.User != nil:
		return nil, fail(InvalidURL, "the URL holds a user or password (not shown); put them into a Secret")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fail(InvalidURL, "the URL holds a query or fragment (not shown); it should look like https://host/path")
	case u.Scheme == "ssh" || u.Scheme == "git":
		return nil, fail(InvalidURL, "%s:// is not supported; use https://", u.Scheme)
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file":
		return nil, fail(InvalidURL, "the URL's scheme %q is not supported; use https://", u.Scheme)
	case u.Scheme != "https" && !allowHTTP:
		return nil, fail(InvalidURL, "%s:// is not allowed here; use https://", u.Scheme)
	case u.Scheme == "file" && (u.Host != "" || u.Path == ""):
		return nil, fail(InvalidURL, "a file URL should look like file:///path")
	case u.Scheme != "file" && u.Hostname() == "":
		return nil, fail(InvalidURL, "the URL has no host; it should look like https://host/path")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

var fullHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// parseHash keeps abbreviated and upper-case hashes out.
func parseHash(commit string) (plumbing.Hash, error) {
	if !fullHash.MatchString(commit) {
		return plumbing.ZeroHash, fail(InvalidRef, "commit %.80q is not a full hash of 40 lower-case hex digits", commit)
	}
	return plumbing.NewHash(commit), nil
}

// check refuses what Git would not take as a ref, before it reaches a request.
func (r Ref) check() error {
	set := 0
	for _, name := range []string{r.Branch, r.Tag, r.Commit} {
		if name != "" {
			set++
		}
	}
	if set > 1 {
		return fail(InvalidRef, "only one of branch, tag and commit can be set")
	}
	if r.Commit != "" {
		_, err := parseHash(r.Commit)
		return err
	}
	if err := plumbing.ReferenceName(r.fullName()).Validate(); err != nil || len(r.fullName()) > 1000 {
		return fail(InvalidRef, "%.200q is not a valid name for a %s", r.Branch+r.Tag, r.kind())
	}
	return nil
}

// fullName is the ref's name on the remote.
func (r Ref) fullName() string {
	switch {
	case r.Branch != "":
		return "refs/heads/" + r.Branch
	case r.Tag != "":
		return "refs/tags/" + r.Tag
	}
	return "HEAD"
}

func (r Ref) kind() string {
	if r.Tag != "" {
		return "tag"
	}
	return "branch"
}

// String is the ref as a person would say it.
func (r Ref) String() string {
	switch {
	case r.Branch != "":
		return "branch " + r.Branch
	case r.Tag != "":
		return "tag " + r.Tag
	case r.Commit != "":
		return "commit " + r.Commit
	}
	return "HEAD"
}

// check finds the newline that `echo` leaves at a Secret's end, among others.
func (a Auth) check() error {
	if a.BearerToken != "" && (a.Username != "" || a.Password != "") {
		return fail(InvalidAuth, "both a bearer token and a username or password are set")
	}
	for _, field := range []struct{ name, value string }{
		{"username", a.Username}, {"password", a.Password}, {"bearer token", a.BearerToken},
	} {
		if strings.ContainsFunc(field.value, unicode.IsControl) {
			return fail(InvalidAuth, "the %s holds a control character, such as a newline at its end", field.name)
		}
	}
	if strings.Contains(a.Username, ":") {
		return fail(InvalidAuth, "the username holds a colon")
	}
	return nil
}

// apply sets the request's Authorization header.
func (a Auth) apply(req *http.Request) {
	switch {
	case a.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+a.BearerToken)
	case a.Username != "" || a.Password != "":
		req.SetBasicAuth(a.Username, a.Password)
	}
}
