package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/registry"
)

// signers reads the keys of the Secrets that checks name. They are read each time: who takes a key away wants that to
// count.
func (r *resolver) signers(ctx context.Context, checks []check) (map[string][]registry.PublicKey, error) {
	keys := map[string][]registry.PublicKey{}
	for _, check := range checks {
		if keys[check.secret] != nil {
			continue
		}
		name := types.NamespacedName{Namespace: r.namespace, Name: check.secret}
		data, err := r.cluster.Secret(ctx, name)
		if err != nil {
			return nil, err
		}
		if keys[check.secret], err = publicKeys(data); err != nil {
			return nil, badKeys{secret: name, detail: err.Error()}
		}
	}
	return keys, nil
}

// publicKeys reads those of a Secret: all that end in .pub, as cosign.pub does, and one that is called key.
func publicKeys(data map[string]string) ([]registry.PublicKey, error) {
	var keys []registry.PublicKey
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if !strings.HasSuffix(name, ".pub") && name != "key" {
			continue
		}
		parsed, err := registry.ParsePublicKeys([]byte(data[name]))
		if err != nil {
			return nil, fmt.Errorf("its key %s: %w", name, err)
		}
		keys = append(keys, parsed...)
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no public key; put the cosign.pub of `cosign generate-key-pair` into it")
	}
	return keys, nil
}

// badKeys says that a Secret's public keys are of no use. It may be mended without a commit.
type badKeys struct {
	secret types.NamespacedName
	detail string
}

func (b badKeys) Error() string { return "Secret " + b.secret.String() + ": " + b.detail }

func (b badKeys) Describe() (reason string, temporary bool, after time.Duration) {
	return "SignersInvalid", true, time.Minute
}
