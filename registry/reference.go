package registry

import (
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// What container runtimes accept, which is less than package name does: it lets
// "a/../b" through, which would become a path at the registry.
// From github.com/distribution/reference, regexp.go.
var (
	validHost = regexp.MustCompile(`^(` + label + `(\.` + label + `)*|\[[a-fA-F0-9:]+\])(:[0-9]+)?$`)
	validPath = regexp.MustCompile(`^` + segment + `(/` + segment + `)*$`)
	validTag  = regexp.MustCompile(`^\w[\w.-]{0,127}$`)

	sha256Digest = regexp.MustCompile(`^sha256:[a-f0-9]{64}$`)
)

const (
	label   = `[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?`
	segment = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
)

// reference is an image as written together with what it means.
type reference struct {
	name.Reference
	image string
}

// hostOf names a registry as users do.
func hostOf(repository name.Repository) string {
	if host := repository.RegistryStr(); host != name.DefaultRegistry {
		return host
	}
	return "docker.io"
}

// Digest returns the digest that image already carries, as in "repo@sha256:…" and
// "repo:tag@sha256:…".
func Digest(image string) (digest string, ok bool) {
	ref, err := parse(image)
	if err != nil {
		return "", false
	}
	d, ok := ref.Reference.(name.Digest)
	if !ok {
		return "", false
	}
	return d.DigestStr(), true
}

// Pinned returns image at digest, without its tag: some runtimes refuse
// "repo:tag@sha256:…" (cri-o/cri-o#8603). The repository stays as it is written,
// so "nginx:1.25" becomes "nginx@sha256:…". The error is an [*Error] of the reason
// [InvalidReference].
func Pinned(image, digest string) (string, error) {
	if _, err := parse(image); err != nil {
		return "", err
	}
	if !sha256Digest.MatchString(digest) {
		return "", &Error{
			Image:  image,
			Reason: InvalidReference,
			Detail: "the digest to pin it to must be sha256: and 64 hexadecimal digits",
		}
	}
	repository, _, _ := strings.Cut(image, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	return repository + "@" + digest, nil
}

func parse(image string) (reference, *Error) {
	ref, err := name.ParseReference(image, name.WeakValidation)
	if err != nil || !wellFormed(ref) {
		return reference{}, &Error{
			Image:  image,
			Reason: InvalidReference,
			Detail: "this is not an image reference; write [host[:port]/]repository[:tag], the repository in lower case",
		}
	}
	return reference{ref, image}, nil
}

func wellFormed(ref name.Reference) bool {
	repository := ref.Context()
	if !validHost.MatchString(repository.RegistryStr()) || !validPath.MatchString(repository.RepositoryStr()) {
		return false
	}
	tag, ok := ref.(name.Tag)
	return !ok || validTag.MatchString(tag.TagStr())
}
