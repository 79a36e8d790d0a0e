package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// signer signs as `cosign sign --key` does.
type signer struct{ key *ecdsa.PrivateKey }

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key}
}

// public is the signer's cosign.pub.
func (s signer) public(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// sign leaves a signature of an image, written without tag, in its registry.
func (s signer) sign(t *testing.T, repository, digest string) {
	t.Helper()
	payload := fmt.Sprintf(`{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`,
		repository, digest)
	sum := sha256.Sum256([]byte(payload))
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:       static.NewLayer([]byte(payload), "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(repository + ":" + strings.Replace(digest, ":", "-", 1) + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
}

// keys is a Secret of public keys.
func keys(name string, data map[string]string) map[string]any {
	encoded := map[string]any{}
	for key, text := range data {
		encoded[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": "shop", "name": name}, "data": encoded}
}

func rule(secret string, images ...string) v1alpha1.ImageVerification {
	return v1alpha1.ImageVerification{Images: images, SecretRef: v1alpha1.LocalReference{Name: secret}}
}

func TestImagesAreVerifiedByTheKeysOfSecrets(t *testing.T) {
	s, r := openShop(t)
	image, plain := s.host+"/cart:1", s.host+"/till:1"
	digest, unsigned := s.push(image), s.push(plain)
	ana, bo := newSigner(t), newSigner(t)
	ana.sign(t, s.host+"/cart", digest)
	s.lock("hunter2")
	s.keep("secrets/registry", s.pullSecret("registry", "hunter2"))
	s.keep("secrets/ana", keys("ana", map[string]string{"cosign.pub": ana.public(t), "cosign.key": "hunter2", "note": "x"}))
	s.keep("secrets/both", keys("both", map[string]string{"bo.pub": bo.public(t), "key": ana.public(t)}))
	s.keep("secrets/bo", keys("bo", map[string]string{"bo.pub": bo.public(t)}))
	s.keep("secrets/none", keys("none", map[string]string{"cosign.key": "hunter2"}))
	s.keep("secrets/torn", keys("torn", map[string]string{"cosign.pub": "hunter2"}))
	pins := manifests.Pins{image: s.host + "/cart@" + digest, plain: s.host + "/till@" + unsigned}
	for _, test := range []struct {
		name      string
		images    []string
		rules     []v1alpha1.ImageVerification
		reason    string // empty for none
		temporary bool
		message   string
	}{
		{"signed", []string{image}, []v1alpha1.ImageVerification{rule("ana")}, "", false, ""},
		{"signed by one of several keys", []string{image}, []v1alpha1.ImageVerification{rule("both")}, "", false, ""},
		{"no rule is about it", []string{image, plain}, []v1alpha1.ImageVerification{rule("ana", "*/cart:*"), rule("bo", "elsewhere/*")}, "", false, ""},
		{"one rule of two is not kept", []string{image}, []v1alpha1.ImageVerification{rule("ana"), rule("bo")}, "SignedByOtherKeys", true, image + ", by the keys of Secret shop/bo: "},
		{"not signed", []string{image, plain}, []v1alpha1.ImageVerification{rule("ana")}, "NotSigned", true, plain + ", by the keys of Secret shop/ana: "},
		{"not pinned", []string{"cart:2"}, []v1alpha1.ImageVerification{rule("ana")}, "NotPinned", false, "cart:2, by the keys of Secret shop/ana: it is to be signed, and is not pinned"},
		{"without the Secret", []string{image}, []v1alpha1.ImageVerification{rule("nobody")}, "SecretNotFound", true, "Secret/shop/nobody: it is not there"},
		{"without a public key", []string{image}, []v1alpha1.ImageVerification{rule("none")}, "SignersInvalid", true, "Secret shop/none: it holds no public key"},
		{"with a key that is none", []string{image}, []v1alpha1.ImageVerification{rule("torn")}, "SignersInvalid", true, "Secret shop/torn: its key cosign.pub: "},
		{"without rules", []string{image}, nil, "", false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := r.Verify(t.Context(), sync.PinRequest{Images: podsOf(t, test.images...)}, pins, test.rules)
			if test.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var described interface {
				error
				Describe() (string, bool, time.Duration)
			}
			if !errors.As(err, &described) {
				t.Fatalf("got %v", err)
			}
			if reason, temporary, _ := described.Describe(); reason != test.reason || temporary != test.temporary {
				t.Errorf("the reason is %s, temporary %t: %v", reason, temporary, err)
			}
			if !strings.HasPrefix(err.Error(), test.message) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEachCheckIsMadeOnceAndOnlyForItsImages(t *testing.T) {
	got := checksOf([]string{"ghcr.io/acme/cart:1", "nginx:1"}, []v1alpha1.ImageVerification{
		rule("acme", "ghcr.io/acme/*"), rule("acme", "*/cart:*"), rule("hub", "docker.io/*", "quay.io/*"), rule("all"),
	})
	want := []check{{"ghcr.io/acme/cart:1", "acme"}, {"ghcr.io/acme/cart:1", "all"}, {"nginx:1", "hub"}, {"nginx:1", "all"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(check{})); diff != "" {
		t.Error(diff)
	}
}

// A pass acts on the first error that describes itself.
func TestARefusalIsToldBeforeWhatMayPass(t *testing.T) {
	later := unsigned{check: check{image: "a"}, cause: errors.New("no answer")}
	refusal := unsigned{check: check{image: "b"}, cause: errNotPinned}
	var first unsigned
	if err := refusalsFirst([]error{nil, later, refusal}); !errors.As(err, &first) || first.image != "b" || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("got %v", err)
	}
	if err := refusalsFirst([]error{nil, nil}); err != nil {
		t.Errorf("got %v", err)
	}
}
