// Package git reads a remote Git repository: the commit its ref points at, and
// that commit's tree as an [io/fs.FS]. There is never a work tree on disk.
//
// A poll ([Repository.Head]) asks for the one ref only. Over HTTP it speaks
// protocol version 2 itself, because go-git downloads every ref of the remote;
// a server without version 2 is read through its version 1 advertisement.
// Fetches are incremental and whole (no depth, no tags, no other branches), and
// go-git keeps and decodes the objects.
//
// What a remote sends is not trusted: bodies, packs, objects, trees and blobs
// are capped, redirects to another host are refused, what is read is checked
// against its hash, and errors are rebuilt instead of passed on. Deciding what
// to do about an error, and when to ask again, is left to the caller.
package git
