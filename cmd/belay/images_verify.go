package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Verify implements [sync.Resolver].
func (r *resolver) Verify(ctx context.Context, request sync.PinRequest, pins manifests.Pins, rules []v1alpha1.ImageVerification) error {
	checks := checksOf(manifests.ImageNames(request.Images), rules)
	if len(checks) == 0 {
		return nil
	}
	keys, err := r.signers(ctx, checks)
	if err != nil {
		return err
	}
	queries, err := r.queries(ctx, request)
	if err != nil {
		return err
	}
	credentials := map[string][]*registry.Credentials{}
	for _, query := range queries {
		credentials[query.Image] = query.Credentials
	}
	errs := make([]error, len(checks))
	each(len(checks), func(i int) {
		check, pin := checks[i], pins[checks[i].image]
		if pin == "" {
			errs[i] = check.refused(r.namespace, errNotPinned)
			return
		}
		err := r.registry.Verify(ctx, registry.Query{Image: pin, Credentials: credentials[check.image]}, keys[check.secret])
		errs[i] = check.refused(r.namespace, err)
	})
	return refusalsFirst(errs)
}

// each calls do with 0 to n-1, a few side by side, and returns when all are done. A panic goes on in the caller, where it
// ends one pass and not the agent.
func each(n int, do func(i int)) {
	const parallel = 8
	var group errgroup.Group
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() (panicked error) {
			defer func() {
				if cause := recover(); cause != nil {
					panicked = fmt.Errorf("%v\n%s", cause, debug.Stack())
				}
			}()
			do(i)
			return nil
		})
	}
	if panicked := group.Wait(); panicked != nil {
		panic(panicked.Error())
	}
}

// check asks for a signature of an image by a key in a Secret.
type check struct{ image, secret string }

// checksOf is what rules ask for, each once, by image.
func checksOf(images []string, rules []v1alpha1.ImageVerification) []check {
	var checks []check
	for _, image := range images {
		for _, rule := range rules {
			c := check{image, rule.SecretRef.Name}
			if sync.AsksToSign(rule, image) && !slices.Contains(checks, c) {
				checks = append(checks, c)
			}
		}
	}
	return checks
}

// errNotPinned is about an image that is to be signed: what runs under a mere tag may be anything.
var errNotPinned = errors.New("it is to be signed, and is not pinned to a digest that could be; take it out of spec.images.exclude, or out of the patterns of spec.images.verify")

// unsigned is why a check was not passed.
type unsigned struct {
	check
	namespace string
	cause     error
}

// refused names the image and the Secret in an error; nil without one.
func (c check) refused(namespace string, err error) error {
	if err == nil {
		return nil
	}
	return unsigned{check: c, namespace: namespace, cause: err}
}

func (u unsigned) Error() string {
	return fmt.Sprintf("%s, by the keys of Secret %s/%s: %v", u.image, u.namespace, u.secret, u.cause)
}

func (u unsigned) Unwrap() error { return u.cause }

// Subject is the image as it is written.
func (u unsigned) Subject() string { return u.image }

func (u unsigned) Describe() (reason string, temporary bool, after time.Duration) {
	var known interface {
		Describe() (string, bool, time.Duration)
	}
	switch {
	case errors.Is(u.cause, errNotPinned):
		return "NotPinned", false, 0
	case errors.As(u.cause, &known):
		return known.Describe()
	}
	return "VerificationFailed", true, 0
}

// refusalsFirst joins errors, those that trying again will not help before the others.
func refusalsFirst(errs []error) error {
	var refusals, others []error
	for _, err := range errs {
		var u unsigned
		if !errors.As(err, &u) {
			continue
		}
		if _, temporary, _ := u.Describe(); temporary {
			others = append(others, u)
		} else {
			refusals = append(refusals, u)
		}
	}
	return errors.Join(append(refusals, others...)...)
}
