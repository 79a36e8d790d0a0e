package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A Reason says in one CamelCase word what kind of trouble an [Error] is.
type Reason string

// The reasons of this package's errors.
const (
	InvalidURL           Reason = "InvalidURL"
	InvalidRef           Reason = "InvalidRef"
	InvalidAuth          Reason = "InvalidAuth"
	AuthenticationFailed Reason = "AuthenticationFailed" // HTTP 401
	PermissionDenied     Reason = "PermissionDenied"     // HTTP 403
	RepositoryNotFound   Reason = "RepositoryNotFound"   // HTTP 404
	EmptyRepository      Reason = "EmptyRepository"
	RefNotFound          Reason = "RefNotFound"
	CommitNotFound       Reason = "CommitNotFound"
	RemoteUnavailable    Reason = "RemoteUnavailable" // network, DNS, TLS, HTTP 5xx
	RateLimited          Reason = "RateLimited"
	Timeout              Reason = "Timeout"
	Canceled             Reason = "Canceled" // by the caller's context
	InvalidResponse      Reason = "InvalidResponse"
	Redirected           Reason = "Redirected"
	TooLarge             Reason = "TooLarge"
	UnsupportedEntry     Reason = "UnsupportedEntry" // in a tree: submodule, LFS pointer, hostile name
	Unsupported          Reason = "Unsupported"      // SHA-256 repositories, shallow remotes
	Corrupt              Reason = "Corrupt"
	CacheUnavailable     Reason = "CacheUnavailable" // the local disk
)

// An Error tells the person who must act what is wrong. It holds no text that
// the server sent and no credentials.
type Error struct {
	Op     string // "resolve branch main of", "read commit 9f2c… of"; verb and noun
	URL    string // scheme, host and path only; empty where the URL itself is wrong
	Reason Reason
	Detail string

	// Temporary says that trying the same again may help; otherwise the
	// options or the repository have to change first.
	Temporary bool
	// RetryAfter is how long to wait at least, up to an hour; 0 where nothing is known.
	RetryAfter time.Duration

	err error // context and disk errors only: others quote the remote
}

func (e *Error) Error() string {
	what := strings.TrimSpace(e.Op + " " + e.URL)
	if what == "" {
		return e.Detail
	}
	return what + ": " + e.Detail
}

// Unwrap returns the context's or the local disk's error, or nil.
func (e *Error) Unwrap() error { return e.err }

// fail makes an error that will not go away by itself.
func fail(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// retry makes an error that may go away by itself.
func retry(reason Reason, format string, args ...any) *Error {
	e := fail(reason, format, args...)
	e.Temporary = true
	return e
}

// diskError tells of the local disk; its error names only local paths.
func diskError(err error) *Error {
	e := retry(CacheUnavailable, "%v", err)
	e.err = err
	return e
}

// interrupted tells an ended context, or returns nil.
func interrupted(err error) *Error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e := retry(Timeout, "not done within the time limit")
		e.err = context.DeadlineExceeded
		return e
	case errors.Is(err, context.Canceled):
		e := retry(Canceled, "interrupted")
		e.err = context.Canceled
		return e
	}
	return nil
}

// rebuilt returns err as an [Error], or one that says only what was expected
// where err may quote the remote.
func rebuilt(err error, expected string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e := interrupted(err); e != nil {
		return e
	}
	return retry(InvalidResponse, "the server's answer is not %s", expected)
}

// during returns err with what was being done and where.
func during(op string, remote *url.URL, err error) error {
	if err == nil {
		return nil
	}
	e := *rebuilt(err, "understood")
	e.Op, e.URL = op, remote.String()
	return &e
}

// hasReason tells whether err is an [Error] for that reason.
func hasReason(err error, reason Reason) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Reason == reason
}

// Describe tells the reason, whether trying again may help, and how long to wait at least.
func (e *Error) Describe() (reason string, temporary bool, after time.Duration) {
	return string(e.Reason), e.Temporary, e.RetryAfter
}
