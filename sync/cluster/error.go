package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Error is what the API server, or the way to it, had against an object.
type Error struct {
	Reason    string // a CamelCase word
	Object    string // the object and its file, or "" where it is about none
	Detail    string
	Temporary bool // trying again can help
	After     time.Duration
}

func (e *Error) Error() string {
	if e.Object == "" {
		return e.Detail
	}
	return e.Object + ": " + e.Detail
}

// Describe tells the reason, whether trying again can help, and when.
func (e *Error) Describe() (reason string, temporary bool, after time.Duration) {
	return e.Reason, e.Temporary, e.After
}

// describe turns an API error about an object into ours.
func describe(object, kind string, err error) error {
	if err == nil {
		return nil
	}
	if known := (*Error)(nil); errors.As(err, &known) {
		return known
	}
	e := &Error{Reason: "ClusterUnavailable", Object: object, Temporary: true}
	var status apierrors.APIStatus
	if errors.Is(err, errLeaseOver) {
		e.Detail = errLeaseOver.Error()
		return e
	}
	if !errors.As(err, &status) {
		e.Detail = "the API server cannot be reached: " + err.Error()
		return e
	}
	e.Detail = detail(kind, status.Status()) + hint(err)
	if seconds, wait := apierrors.SuggestsClientDelay(err); wait {
		e.After = time.Duration(seconds) * time.Second
	}
	e.Reason, e.Temporary = class(err)
	if isUnserved(err) {
		e.Reason, e.Detail = "UnknownKind", "the cluster knows no kind "+kind+" in this version any more, or not yet; install its CRD"
	}
	return e
}

// isUnserved tells whether the API server has nothing of a kind that discovery knew: its CRD has just gone, or is not
// established again.
func isUnserved(err error) bool {
	return apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource")
}

// causeNamespaceTerminating is k8s.io/api/core/v1.NamespaceTerminatingCause.
const causeNamespaceTerminating metav1.CauseType = "NamespaceTerminating"

// class says what kind of refusal an API error is, and whether it may pass by itself.
func class(err error) (reason string, temporary bool) {
	text := err.Error()
	switch {
	case apierrors.HasStatusCause(err, causeNamespaceTerminating):
		return "NamespaceTerminating", true
	case strings.Contains(text, "failed calling webhook"):
		return "WebhookUnavailable", true
	case strings.Contains(text, "admission webhook") && strings.Contains(text, "denied the request"),
		strings.Contains(text, "ValidatingAdmissionPolicy '") && strings.Contains(text, "denied request"):
		return "AdmissionDenied", false
	// Server-side apply reports a field that the schema lacks as an internal error.
	case strings.Contains(text, "failed to create typed patch object"), isOutdated(err):
		return "Invalid", false
	case apierrors.IsForbidden(err) && strings.Contains(text, "exceeded quota"):
		return "QuotaExceeded", true
	case apierrors.IsForbidden(err) && strings.Contains(text, "cannot "):
		return "Forbidden", false
	case apierrors.IsForbidden(err):
		return "AdmissionDenied", false
	case isImmutable(err):
		return "ImmutableField", false
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err),
		apierrors.IsRequestEntityTooLargeError(err), apierrors.IsNotAcceptable(err), apierrors.IsUnsupportedMediaType(err):
		return "Invalid", false
	case apierrors.IsConflict(err):
		// Without a field manager, somebody was faster, a quota's controller for one: the next try finds it settled.
		return "Conflict", !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
	case apierrors.IsNotFound(err):
		return "NotFound", true
	}
	return "ClusterUnavailable", true
}

// hint says what would be right, where belay knows it better than the API server.
func hint(err error) string {
	if rule := missingRule(err); rule != "" {
		return "; add to " + rule
	}
	if _, kept := conflicts(err); kept {
		return "; take the field out of Git, name it in spec.apply.ignore, or have that manager leave it"
	}
	return ""
}

// preamble is how the API server's messages name the object once more.
var preamble = regexp.MustCompile(`^(failed to create typed patch object \([^)]*\): |\S+ "[^"]*" is invalid: )`)

// detail is the API server's own words where they can be shown. About a Secret they may quote a value, so that
// only the fields are named.
func detail(kind string, status metav1.Status) string {
	if kind != "Secret" {
		return preamble.ReplaceAllString(status.Message, "")
	}
	var fields []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Field != "" {
				fields = append(fields, cause.Field)
			}
		}
	}
	text := "the API server refused this Secret; its words are withheld, for they may quote a value"
	if len(fields) > 0 {
		text += "; look at " + strings.Join(fields, ", ")
	}
	return text
}

// all joins the errors of several objects into one that is temporary only if each is, for one refused object is
// enough to refuse the release. The message names the first few, those that refuse before the others.
func all(errs []error) error {
	var found []*Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		var e *Error
		if !errors.As(err, &e) {
			return err
		}
		found = append(found, e)
	}
	slices.SortStableFunc(found, func(a, b *Error) int {
		switch {
		case a.Temporary == b.Temporary:
			return 0
		case a.Temporary:
			return 1
		}
		return -1
	})
	if len(found) == 0 {
		return nil
	}
	if len(found) == 1 {
		return found[0]
	}
	const most = 3
	var words []string
	for _, e := range found[:min(most, len(found))] {
		words = append(words, e.Error())
	}
	if rest := len(found) - len(words); rest > 0 {
		words = append(words, fmt.Sprintf("and %d more", rest))
	}
	first := found[0]
	return &Error{Reason: first.Reason, Detail: strings.Join(words, "\n"), Temporary: first.Temporary, After: first.After}
}
