package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/belay-gitops/belay/e2e/cluster"
)

// image pushes an image and prints its digest.
func image(ctx context.Context, args []string) error {
	flags, o := optionFlags("image")
	var i cluster.Image
	var login cluster.Login
	var builtin, message, registry, name string
	var crash bool
	flags.StringVar(&registry, "registry", "", "`HOST:PORT` of the registry, which is spoken to in plain HTTP if the host is an address")
	flags.StringVar(&name, "name", "", "`REPOSITORY:TAG` in the registry")
	flags.StringVar(&login.Username, "username", "", "`user` of a registry that asks for one")
	flags.StringVar(&login.Password, "password", "", "that user's `password`")
	flags.StringVar(&i.Program, "program", "", "static binary `file` that the image runs")
	flags.StringVar(&builtin, "builtin", "", "run this module's own `program` instead: hello answers --message on port 8080")
	flags.StringVar(&message, "message", "hello", "what the builtin hello answers")
	flags.BoolVar(&crash, "crash", false, "let the builtin hello exit with 1 at once")
	flags.StringVar(&i.Entrypoint, "entrypoint", "", "where in the image the program is, as an absolute `path`; by default its name in /")
	flags.StringVar(&i.User, "user", "65532", "`user` that it runs as")
	flags.Func("arg", "`argument` of the program; may be repeated", func(s string) error { i.Args = append(i.Args, s); return nil })
	flags.Func("env", "`NAME=VALUE` in the program's environment; may be repeated", func(s string) error { i.Env = append(i.Env, s); return nil })
	if err := parse(flags, args); err != nil {
		return err
	}
	if registry == "" || name == "" || (i.Program == "") == (builtin == "") {
		return errors.New("reading flags: --registry, --name, and one of --program and --builtin are needed")
	}
	if builtin != "" {
		if err := i.Builtin(ctx, builtin, *o); err != nil {
			return err
		}
		i.Env = append(i.Env, "MESSAGE="+message)
		if crash {
			i.Env = append(i.Env, "CRASH=1")
		}
	}
	digest, err := i.Push(ctx, registry+"/"+name, login)
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}
