package registry

import (
	"errors"
	"strings"
	"testing"
)

var someDigest = "sha256:" + strings.Repeat("0f", 32)

func TestPinningKeepsTheSpellingAndDropsTheTag(t *testing.T) {
	for image, want := range map[string]string{
		"nginx":                           "nginx",
		"nginx:1.25":                      "nginx",
		"docker.io/library/nginx:1.25":    "docker.io/library/nginx",
		"localhost:5000/cart":             "localhost:5000/cart",
		"ghcr.io:443/acme/cart:2.1":       "ghcr.io:443/acme/cart",
		"[::1]:5000/cart:2.1":             "[::1]:5000/cart",
		"ghcr.io/acme/cart@" + someDigest: "ghcr.io/acme/cart",
		"cart:2.1@" + someDigest:          "cart",
		"acme/cart_x/y--z.w:V2_1":         "acme/cart_x/y--z.w",
	} {
		got, err := Pinned(image, someDigest)
		if err != nil || got != want+"@"+someDigest {
			t.Errorf("%s: got %s, %v", image, got, err)
		}
	}
}

func TestPinningToNoDigestIsRefused(t *testing.T) {
	for _, digest := range []string{"", "latest", "sha256:", someDigest + "0", strings.ToUpper(someDigest), "sha512:" + strings.Repeat("0", 128)} {
		if got, err := Pinned("nginx", digest); err == nil {
			t.Errorf("%s: got %s", digest, got)
		}
	}
}

func TestADigestIsReadFromTheReference(t *testing.T) {
	for image, want := range map[string]string{
		"cart@" + someDigest:                      someDigest,
		"ghcr.io:443/acme/cart:2.1@" + someDigest: someDigest,
		"cart@sha512:" + strings.Repeat("a", 128): "sha512:" + strings.Repeat("a", 128),
		"cart:2.1":                              "",
		"cart@sha256:0f0f":                      "",
		"Cart@" + someDigest:                    "",
		"cart@" + someDigest + "@" + someDigest: "",
	} {
		if got, ok := Digest(image); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t", image, got, ok)
		}
	}
}

func TestWhatNoRuntimeWouldPullIsRefused(t *testing.T) {
	for _, image := range []string{
		"", " ", "nginx ", " nginx", "nginx:1 .25", "nginx\n", "nginx:", ":1.25", "@" + someDigest,
		"Nginx", "acme/Cart:1", "ghcr.io/acme/../admin", "ghcr.io//cart", "ghcr.io/cart/", "acme/-cart", "a/_b",
		"ghcr.io/acme/cart:.x", "ghcr.io/acme/cart:-x", "ghcr.io/acme/cart:" + strings.Repeat("x", 129),
		"https://ghcr.io/acme/cart", "user:pass@ghcr.io/acme/cart", "ghcr.io:port/cart", "ghcr.io?x/cart", "gh%63r.io/cart",
		"nginx@latest", "nginx@" + strings.ToUpper(someDigest), "ghcr.io/caf\u00e9:1", "$(IMAGE)", "${IMAGE}:1",
	} {
		_, err := Pinned(image, someDigest)
		var e *Error
		if !errors.As(err, &e) || e.Reason != InvalidReference || e.Temporary {
			t.Errorf("%q: got %v", image, err)
		}
	}
}

func TestAnErrorIsOneLineWhateverTheImage(t *testing.T) {
	for image, want := range map[string]string{
		"a\nb\x1b[31m":              `resolving "a\nb\x1b[31m": `,
		"":                          `resolving "": `,
		"a\u2028b":                  `resolving "a\u2028b": `,
		strings.Repeat("A", 100000): `resolving "` + strings.Repeat("A", 512) + `"…: `,
	} {
		_, err := Pinned(image, someDigest)
		if !strings.HasPrefix(err.Error(), want) || len(err.Error()) > 1024 {
			t.Errorf("got %.600s", err)
		}
	}
}
