"""Between the contract's messages and the service's own types; every field is checked here.

names      resource names and ids
values     texts, numbers, times, places, region codes, enums
schedules  cron expressions, time zones, quiet hours
members, leads, organizations, conflicts   catalog resources, both ways
events     participation events
pushes     pushes, plans, pauses
claims     claims, and what is said of a refused one
queries    what a list asks for
replies    ranked lists, reasons, terms
models     models, workers, durability
status     errors <-> google.rpc.Status

Whatever cannot be used raises the ServiceError of its documented reason, with the field's path.
"""
