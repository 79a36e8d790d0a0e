package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Reason says in a word, fit for a condition, why an image was not resolved.
type Reason string

// The reasons there are.
const (
	AddressRefused       Reason = "AddressRefused"       // it leads where registries have no business to be
	Busy                 Reason = "Busy"                 // this agent has asked the registry enough for now
	DigestMismatch       Reason = "DigestMismatch"       // the bytes are not those of the digest
	EndpointsUnreadable  Reason = "EndpointsUnreadable"  // where to ask for it is not known
	InvalidReference     Reason = "InvalidReference"     // it cannot be read
	NodesUnknown         Reason = "NodesUnknown"         // what it must run on is not known
	NotFound             Reason = "NotFound"             // no such repository or tag
	PlatformMissing      Reason = "PlatformMissing"      // it runs on none of the nodes
	Redirected           Reason = "Redirected"           // a redirect was not followed
	Timeout              Reason = "Timeout"              // no answer, or not all of it, in time
	TooLarge             Reason = "TooLarge"             // the answer has no end
	TooManyRequests      Reason = "TooManyRequests"      // 429
	Unauthorized         Reason = "Unauthorized"         // 401 or 403
	Unavailable          Reason = "Unavailable"          // not reached, or 5xx
	UnsupportedMediaType Reason = "UnsupportedMediaType" // not an image
)

// Error says why one image was not resolved. Its text is all ours: nothing that a
// server said is in it.
type Error struct {
	Image  string // as it is written
	Host   string // the registry, empty if Image cannot be read
	Reason Reason
	Detail string // what is wrong, and what would be right

	// Temporary: trying again may help though nothing is changed.
	Temporary bool
	// RetryAfter is how long the registry asked to be left alone, at most an hour;
	// zero if it did not say.
	RetryAfter time.Duration
}

// Error is one line.
func (e *Error) Error() string {
	verb := "resolving "
	if e.Reason.ofSignatures() {
		verb = "verifying "
	}
	return verb + printable(e.Image) + ": " + e.Detail
}

// printable quotes an image that would not show as one short word.
func printable(image string) string {
	const longest = 512
	unfit := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	if len(image) > longest {
		return strconv.QuoteToASCII(image[:longest]) + "…"
	}
	if image == "" || strings.ContainsFunc(image, unfit) {
		return strconv.QuoteToASCII(image)
	}
	return image
}

// oneLine is a text of ours from elsewhere, fit to be a part of an error.
func oneLine(text string) string {
	const longest = 512
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }), " ")
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// errPlain refuses plain HTTP. It is not an [*Error] because a ping of a host that
// looks local tries HTTPS and HTTP, and if HTTPS failed for a better reason, that
// one is told.
var errPlain = errors.New("plain HTTP")

// explain makes the error of ref from whatever went wrong.
func explain(ref reference, err error) *Error {
	e := *classify(err)
	e.Image = ref.image
	e.Host = hostOf(ref.Context())
	return &e
}

func classify(err error) *Error {
	var (
		ours        *Error
		certificate *tls.CertificateVerificationError
		timeout     net.Error
		dns         *net.DNSError
		dial        *net.OpError
	)
	switch {
	case errors.As(err, &certificate):
		return unavailable("its certificate is not trusted; give the agent the authority that signed it")
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Reason: Timeout, Detail: "the registry did not answer in time", Temporary: true}
	case errors.As(err, &dns):
		return unavailable("the name of the registry was not found in DNS")
	case errors.As(err, &dial):
		return unavailable("the registry cannot be reached")
	case errors.Is(err, errPlain):
		return &Error{Reason: AddressRefused, Detail: "it does not speak HTTPS, and plain HTTP is only for hosts that an operator declared insecure"}
	}
	return unavailable("the registry did not answer as one should")
}

func unavailable(detail string) *Error {
	return &Error{Reason: Unavailable, Detail: detail, Temporary: true}
}

// join puts the error to act on first: what is permanent, then the longest wait,
// then the order of errs, which is that of the images.
func join(errs []*Error) error {
	errs = slices.DeleteFunc(errs, func(e *Error) bool { return e == nil })
	slices.SortStableFunc(errs, func(a, b *Error) int {
		_, laterA, afterA := a.Describe()
		_, laterB, afterB := b.Describe()
		switch {
		case laterA == laterB:
			return cmp.Compare(afterB, afterA)
		case laterB:
			return -1
		}
		return 1
	})
	joined := make([]error, len(errs))
	for i, e := range errs {
		joined[i] = e
	}
	return errors.Join(joined...)
}

// Describe tells the reason, whether trying again may help, and how long to wait at least. Unlike Temporary, which
// speaks of this registry as it is, it reckons with people: a tag is often pushed a moment after the commit that
// names it, and signed a moment after that, and a credential, a key or a signature is mended without a commit.
func (e *Error) Describe() (reason string, temporary bool, after time.Duration) {
	switch e.Reason {
	case NotFound, NotSigned:
		return string(e.Reason), true, e.RetryAfter
	case Unauthorized, SignedByOtherKeys, SignedOtherDigest, SignatureUnreadable, TooManySignatures:
		return string(e.Reason), true, max(e.RetryAfter, time.Minute)
	}
	return string(e.Reason), e.Temporary, e.RetryAfter
}

// Subject is the image that the error is about.
func (e *Error) Subject() string { return e.Image }
