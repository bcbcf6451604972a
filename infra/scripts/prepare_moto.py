"""Puts into moto what a deployed stack has: a verified sender, a secret without a value, and a table for the operate command."""

import sys

import boto3

endpoint = sys.argv[1]


def client(service):
    return boto3.client(service, endpoint_url=endpoint)


client("sesv2").create_email_identity(EmailIdentity="no-reply@countersign.example")
client("secretsmanager").create_secret(Name="countersign-keyring")
client("dynamodb").create_table(
    TableName="countersign-operate",
    BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
)
